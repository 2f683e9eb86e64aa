import { connect, createServer, type Socket } from "node:net";
import type { Scope } from "@peapod/kit";
import { Wire, WireEnded } from "../../flow/wire.ts";
import { listenOn } from "../tls/serving.fixture.ts";
import { cString, formatMessage, splitStrings } from "./messages.ts";

/** One connection to a scripted server. */
export interface Script {
  readonly wire: Wire;
  /** What the wire began with. */
  readonly socket: Socket;
  /** Reads a packet without a type, such as the startup. */
  readonly packet: () => Promise<Buffer>;
  /** Reads a message, and gives its body. */
  readonly message: () => Promise<Buffer>;
  readonly send: (...messages: readonly Uint8Array[]) => void;
}

/** Listens on a free port, and does with each connection what the script says, then ends it. A connection that ended early is none of its business. */
export async function startScripted(scope: Scope, script: (connection: Script) => Promise<void>): Promise<number> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket: Socket) => {
    const wire = new Wire(socket);
    const packet = async (): Promise<Buffer> => await wire.read((await wire.read(4)).readUInt32BE(0) - 4);
    const message = async (): Promise<Buffer> => {
      await wire.read(1);
      return await packet();
    };
    script({ wire, socket, packet, message, send: (...messages) => wire.write(Buffer.concat(messages)) })
      .catch((error: unknown) => {
        if (!(error instanceof WireEnded)) throw error;
      })
      .finally(() => wire.destroy());
  });
  return await listenOn(server, scope);
}

/** An authentication request. */
export function authentication(code: number, data: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(code);
  return formatMessage("R", head, data);
}

/** The offer of SASL mechanisms. */
export function offer(...mechanisms: readonly string[]): Buffer {
  return authentication(10, Buffer.concat([...mechanisms.map(cString), Buffer.of(0)]));
}

export const ready = formatMessage("Z", Buffer.from("I"));

/** What a server says of a login that it lets through without a question. */
export const welcome = Buffer.concat([authentication(0), formatMessage("K", Buffer.from("0000002a01020304", "hex")), ready]);

/** A startup packet of protocol 3, of a user `legacy`. */
export function startupPacket(minor = 0): Buffer {
  const body = Buffer.from("user\0legacy\0database\0legacydb\0\0");
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length, 0);
  head.writeUInt32BE((3 << 16) | minor, 4);
  return Buffer.concat([head, body]);
}

/** Sends pieces, one after the other, and gives all that comes until the other side ends. */
export async function talk(port: number, ...pieces: readonly Uint8Array[]): Promise<Buffer> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const chunks: Buffer[] = [];
  const ended = new Promise<void>((resolve) => {
    socket.on("data", (chunk: Buffer) => chunks.push(chunk)).once("close", () => resolve());
    socket.on("error", () => {}); // a reset is an end as well
  });
  for (const piece of pieces) {
    socket.write(piece);
    if (pieces.length > 1) await new Promise((resolve) => setImmediate(resolve));
  }
  await ended;
  return Buffer.concat(chunks);
}

/** The SQLSTATE and the text of the ErrorResponse that `bytes` end with; undefined where there is none. */
export function parseError(bytes: Buffer): { readonly sqlState: string; readonly text: string } | undefined {
  const at = bytes.indexOf("E");
  if (at === -1 || bytes.readUInt32BE(at + 1) !== bytes.length - at - 1) return undefined;
  const fields = (splitStrings(bytes.subarray(at + 5, -1)) ?? []).map(String);
  const field = (type: string): string => fields.find((text) => text.startsWith(type))?.slice(1) ?? "";
  return { sqlState: field("C"), text: field("M") };
}
