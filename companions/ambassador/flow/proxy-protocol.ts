import { isIP, SocketAddress } from "node:net";
import { AmbassadorError } from "../errors.ts";
import { addressBytes } from "./ip-bytes.ts";
import type { Wire } from "./wire.ts";

/**
 * The PROXY protocol: a header before everything else, by which a proxy tells who its client is. Version 1 is a line of text, version 2 is
 * binary. https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt
 */

/** An address of the IP kind and its port, or, of a UNIX socket, an empty one and 0. */
export interface Peer {
  readonly address: string;
  readonly port: number;
}

/** The two ends of a client's connection: where the client is, and where it connected to. */
export interface Ends {
  readonly client: Peer;
  readonly local: Peer;
}

/** What a connection's first bytes say. `ends` is undefined where the header names nobody (UNKNOWN, LOCAL, a UNIX socket's). */
export type ProxyHeader =
  | { readonly kind: "incomplete" }
  | { readonly kind: "malformed"; readonly reason: string }
  | { readonly kind: "header"; readonly length: number; readonly ends: Ends | undefined };

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const WORD = Buffer.from("PROXY ", "latin1");

/** With its line end, as the specification has it. */
const V1_LIMIT_BYTES = 107;

/** Of a version 2 header, with its extensions. The format goes to 64 KiB; proxies that add certificates stay far below this, which is HAProxy's own. */
const V2_LIMIT_BYTES = 16 * 1024;

const V2_HEAD_BYTES = 16;

/**
 * Reads the header that must begin a connection. Undefined for one that names nobody: the connection's own ends count.
 * Throws CLIENT_PROTOCOL where there is none, CLIENT_GONE where the client ends in it.
 */
export async function readProxyHeader(wire: Wire): Promise<Ends | undefined> {
  let bytes: Buffer = Buffer.alloc(0);
  for (;;) {
    const more = await wire.readSome(V2_LIMIT_BYTES);
    if (more.length === 0) throw new AmbassadorError("CLIENT_GONE", "The client ended before its PROXY protocol header was whole");
    bytes = bytes.length === 0 ? more : Buffer.concat([bytes, more]);
    const header = parseProxyHeader(bytes);
    if (header.kind === "malformed")
      throw new AmbassadorError("CLIENT_PROTOCOL", `The connection does not begin with a PROXY protocol header: ${header.reason}`);
    if (header.kind === "header") {
      wire.unread(bytes.subarray(header.length));
      return header.ends;
    }
  }
}

/** Reads a header of either version from a connection's first bytes. Pure; judges as early as it can. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsAs(bytes, SIGNATURE)) return bytes.length < V2_HEAD_BYTES ? parseV2Start(bytes) : parseV2(bytes);
  if (startsAs(bytes, WORD)) return parseV1(bytes);
  return { kind: "malformed", reason: "it begins with something else" };
}

/** Whether bytes begin with a word, as far as they go. */
function startsAs(bytes: Buffer, word: Buffer): boolean {
  const length = Math.min(bytes.length, word.length);
  return bytes.compare(word, 0, length, 0, length) === 0;
}

function parseV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, V1_LIMIT_BYTES).indexOf("\r\n");
  if (end < 0) return bytes.length < V1_LIMIT_BYTES ? { kind: "incomplete" } : { kind: "malformed", reason: "its line has no end" };
  const length = end + 2;
  const [, family, source = "", destination = "", sourcePort, destinationPort, ...others] = bytes.toString("latin1", 0, end).split(" ");
  if (family === "UNKNOWN") return { kind: "header", length, ends: undefined };
  const version = family === "TCP4" ? 4 : family === "TCP6" ? 6 : undefined;
  if (version === undefined) return { kind: "malformed", reason: "its family is neither TCP4, TCP6 nor UNKNOWN" };
  const ports = [portOf(sourcePort), portOf(destinationPort)];
  const [client, local] = ports;
  if (isIP(source) !== version || isIP(destination) !== version || client === undefined || local === undefined || others.length > 0)
    return { kind: "malformed", reason: `what follows ${family} is not two addresses and two ports` };
  return { kind: "header", length, ends: { client: { address: source, port: client }, local: { address: destination, port: local } } };
}

function portOf(text: string | undefined): number | undefined {
  return text !== undefined && /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined;
}

function parseV2Start(bytes: Buffer): ProxyHeader {
  const wrong = bytes.length > 12 ? v2Trouble(bytes) : undefined;
  return wrong === undefined ? { kind: "incomplete" } : { kind: "malformed", reason: wrong };
}

function parseV2(bytes: Buffer): ProxyHeader {
  const wrong = v2Trouble(bytes);
  if (wrong !== undefined) return { kind: "malformed", reason: wrong };
  const length = V2_HEAD_BYTES + bytes.readUInt16BE(14);
  if (length > V2_LIMIT_BYTES) return { kind: "malformed", reason: `it has ${length} bytes, more than ${V2_LIMIT_BYTES}` };
  const family = (bytes[13] ?? 0) >> 4;
  const isLocal = ((bytes[12] ?? 0) & 0x0f) === 0;
  const size = isLocal ? 0 : (v2AddressBytes[family] ?? 0);
  if (length < V2_HEAD_BYTES + size) return { kind: "malformed", reason: "it is shorter than its addresses" };
  if (bytes.length < length) return { kind: "incomplete" };
  const isIp = size > 0 && family !== FAMILY_UNIX;
  return { kind: "header", length, ends: isIp ? readEnds(bytes.subarray(V2_HEAD_BYTES), (size - 4) / 2) : undefined };
}

const FAMILY_UNIX = 3;

/** Both addresses, and both ports, by family: IPv4, IPv6, UNIX. Of one that is not known nothing is read. */
const v2AddressBytes: Readonly<Record<number, number>> = { 1: 12, 2: 36, 3: 216 };

function v2Trouble(bytes: Buffer): string | undefined {
  const versionAndCommand = bytes[12] ?? 0;
  if (versionAndCommand >> 4 !== 2) return `its version is ${versionAndCommand >> 4}`;
  return (versionAndCommand & 0x0f) > 1 ? `its command is ${versionAndCommand & 0x0f}` : undefined;
}

function readEnds(bytes: Buffer, size: number): Ends {
  const peer = (at: number, portAt: number): Peer => ({
    address: textOf(bytes.subarray(at, at + size)),
    port: bytes.readUInt16BE(portAt),
  });
  return { client: peer(0, 2 * size), local: peer(size, 2 * size + 2) };
}

function textOf(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16));
  return new SocketAddress({ address: groups.join(":"), family: "ipv6" }).address;
}

/** The header to send. Without ends, as for a health check: LOCAL in version 2, UNKNOWN in version 1; so too for a UNIX socket's, which have no addresses. */
export function makeProxyHeader(version: "v1" | "v2", ends: Ends | undefined): Buffer {
  return version === "v1" ? makeV1(ends) : makeV2(ends);
}

function makeV1(ends: Ends | undefined): Buffer {
  const known = knownEnds(ends);
  if (known === undefined) return Buffer.from("PROXY UNKNOWN\r\n");
  const { client, local, version } = known;
  return Buffer.from(`PROXY TCP${version} ${client.address} ${local.address} ${client.port} ${local.port}\r\n`);
}

function makeV2(ends: Ends | undefined): Buffer {
  const known = knownEnds(ends);
  if (known === undefined) return Buffer.concat([SIGNATURE, Buffer.from([ends === undefined ? 0x20 : 0x21, 0, 0, 0])]);
  const { client, local, version } = known;
  const head = Buffer.from([0x21, version === 4 ? 0x11 : 0x21, 0, version === 4 ? 12 : 36]);
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(client.port, 0);
  ports.writeUInt16BE(local.port, 2);
  return Buffer.concat([SIGNATURE, head, addressBytes(client.address), addressBytes(local.address), ports]);
}

/** Both ends in one family: where one is IPv6, the other is written so too. */
function knownEnds(ends: Ends | undefined): (Ends & { readonly version: 4 | 6 }) | undefined {
  if (ends === undefined) return undefined;
  const versions = [isIP(ends.client.address), isIP(ends.local.address)];
  if (versions.includes(0)) return undefined;
  if (!versions.includes(6)) return { ...ends, version: 4 };
  const as6 = ({ address, port }: Peer): Peer => ({ address: isIP(address) === 4 ? `::ffff:${address}` : withoutZone(address), port });
  return { client: as6(ends.client), local: as6(ends.local), version: 6 };
}

/** `fe80::1%eth0` means nothing elsewhere. */
function withoutZone(address: string): string {
  return address.replace(/%.*$/, "");
}
