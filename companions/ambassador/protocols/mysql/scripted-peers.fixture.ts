import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import assert from "node:assert/strict";
import { eventually, type Scope } from "@peapod/kit";
import { AmbassadorError } from "../../errors.ts";
import { Wire, WireEnded } from "../../flow/wire.ts";
import { listenOn, type Serving } from "../tls/serving.fixture.ts";
import { capability } from "./capabilities.ts";
import { encodeGreeting } from "./greeting.ts";
import type { HandshakeResponse } from "./handshake-response.ts";
import { PacketChannel } from "./packet-channel.ts";
import { greeting8 } from "./sha2-server.fixture.ts";

/** An OK packet's payload; as it is after the login. */
export const ok = Buffer.from("00000002000000", "hex");
/** What a client answers to the greeting. */
export const response: HandshakeResponse = {
  capabilities: { base: 0x1ffa68f | capability.PLUGIN_AUTH, mariadb: 0 },
  maxPacketBytes: 2 ** 24,
  charset: 45,
  user: Buffer.from("legacy"),
  auth: Buffer.from("01234567890123456789"),
  database: undefined,
  plugin: "mysql_native_password",
  attributes: undefined,
};

/** What a scripted server does with one connection. */
export type Script = (packets: PacketChannel, socket: Socket) => Promise<void> | void;

/** A server that does what its script says with each connection. */
export async function startServer(scope: Scope, script: Script): Promise<number> {
  const serve = async (socket: Socket): Promise<void> => {
    try {
      await script(new PacketChannel(new Wire(socket), "client"), socket);
    } catch (cause) {
      if (!(cause instanceof AmbassadorError || cause instanceof WireEnded)) throw cause;
      socket.destroy();
    }
  };
  return await listenOn(
    createServer({ allowHalfOpen: true, noDelay: true }, (socket) => void serve(socket.on("error", () => {}))),
    scope,
  );
}

/** Greets, and takes the response for what it is. */
export async function welcome(packets: PacketChannel): Promise<void> {
  packets.write(encodeGreeting(greeting8));
  await packets.read();
}

/** The code of the failure that a connection ended with. */
export async function lastCode({ outcomes }: Serving): Promise<unknown> {
  await eventually(() => outcomes.length > 0, { withinMs: 3000 });
  return (outcomes.at(-1) as { code?: unknown } | undefined)?.code; // errors with a code, in these tests
}

/** Connects, and gives the packets from the greeting on. */
export async function dial(scope: Scope, port: number): Promise<PacketChannel> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  await once(socket, "connect");
  scope.defer(() => void socket.destroy());
  const packets = new PacketChannel(new Wire(socket), "upstream");
  await packets.read();
  return packets;
}

/** The next packet, which must have this number. */
export async function readAt({ wire }: PacketChannel, sequence: number): Promise<Buffer> {
  const header = await wire.read(4);
  assert.equal(header[3], sequence);
  return await wire.read(header.readUIntLE(0, 3));
}
