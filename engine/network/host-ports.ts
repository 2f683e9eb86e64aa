import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { isErrno, readTextIfPresentNow } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import { formatAddress } from "./cidr.ts";
import { runProgram } from "./ip-command.ts";
import type { PortMapping } from "./network.ts";
import { isAny } from "./rules/rules.ts";

/** A port of the machine that somebody has: `address` undefined is all of them. */
export interface TakenPort {
  readonly protocol: string;
  readonly port: number;
  readonly address: string | undefined;
  readonly holder: string;
}

/** The first of `taken` that stands in the way of `mapping`. */
export function findConflict(mapping: PortMapping, taken: readonly TakenPort[]): TakenPort | undefined {
  return taken.find(
    (other) =>
      other.protocol === mapping.protocol &&
      other.port === mapping.hostPort &&
      (other.address === undefined || isAny(mapping) || other.address === mapping.hostIP),
  );
}

/** What other engines of this machine publish, read from their tables; none where no bridge but ours is an engine's, which costs nothing to see. */
export async function portsOfOtherEngines(ownBridge: string, ownTable: string): Promise<TakenPort[]> {
  if (!devices().some((name) => name.startsWith("pp-") && name !== ownBridge)) return [];
  const json = await runProgram("nft", ["-j", "list", "maps", "ip"], { doing: "Cannot look for other engines' published ports" });
  return parsePublishedPorts(json).flatMap(({ table, ...port }) =>
    table === ownTable ? [] : [{ ...port, holder: `another engine (nftables table ${table})` }],
  );
}

interface PublishedElsewhere {
  readonly table: string;
  readonly protocol: string;
  readonly port: number;
  readonly address: string | undefined;
}

/** The published ports in the output of `nft -j list maps`; anything that is not an engine's is passed over. */
export function parsePublishedPorts(json: string): PublishedElsewhere[] {
  interface Listing {
    nftables?: { map?: { table: string; name: string; elem?: [{ concat?: (string | number)[] }, unknown][] } }[];
  }
  const listing = JSON.parse(json) as Listing; // nft's own schema (libnftables-json(5)); what we do not know is passed over below
  return (listing.nftables ?? []).flatMap(({ map }) => {
    if (map === undefined || !map.table.startsWith("peapod-") || !map.name.startsWith("ports_")) return [];
    return (map.elem ?? []).flatMap(([key]) => {
      const [port, protocol, address] = (key.concat ?? []).toReversed();
      if (typeof port !== "number") return [];
      return [
        { table: map.table, protocol: String(protocol).toUpperCase(), port, address: address === undefined ? undefined : String(address) },
      ];
    });
  });
}

/**
 * Who of the machine's programs has one of the wanted ports. Found out by binding each for a moment: /proc/net/tcp tells it too, and
 * then names the holder, but takes milliseconds to read where nobody has one.
 */
export async function portsOfPrograms(wanted: readonly PortMapping[]): Promise<TakenPort[]> {
  const busy: PortMapping[] = [];
  for (const mapping of wanted) if (await isBound(mapping)) busy.push(mapping);
  return busy.flatMap((mapping) => {
    const holder = findConflict(mapping, listeningSockets([mapping]))?.holder ?? "a program of this machine";
    return [{ protocol: mapping.protocol, port: mapping.hostPort, address: isAny(mapping) ? undefined : mapping.hostIP, holder }];
  });
}

/** SCTP's ports cannot be tried from here, and are few. An address that the machine does not have, nobody has bound. */
async function isBound(mapping: PortMapping): Promise<boolean> {
  const address = isAny(mapping) ? "0.0.0.0" : mapping.hostIP;
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const fail = (cause: NodeJS.ErrnoException): void => {
    if (cause.code === "EADDRINUSE") resolve(true);
    else if (cause.code === "EADDRNOTAVAIL") resolve(false);
    else
      reject(new EngineError("NETWORK_FAILED", `Cannot see whether host port ${mapping.hostPort}/${mapping.protocol} is free`, { cause }));
  };
  if (mapping.protocol === "TCP") {
    const server = createServer((socket) => socket.destroy());
    server.once("error", fail);
    server.listen({ host: address, port: mapping.hostPort, exclusive: true }, () => server.close(() => resolve(false)));
  } else if (mapping.protocol === "UDP") {
    const socket = createSocket("udp4");
    socket.once("error", (cause: NodeJS.ErrnoException) => socket.close(() => fail(cause)));
    socket.bind({ address, port: mapping.hostPort, exclusive: true }, () => socket.close(() => resolve(false)));
  } else return false;
  return promise;
}

/** Sockets of the machine that wait on one of the wanted ports, with their process. */
function listeningSockets(wanted: readonly PortMapping[]): TakenPort[] {
  const found: TakenPort[] = [];
  for (const [file, protocol, state] of socketFiles) {
    const ports = new Set(wanted.filter((mapping) => mapping.protocol === protocol).map((mapping) => mapping.hostPort));
    if (ports.size === 0) continue;
    const sockets = readTextIfPresentNow(`/proc/thread-self/net/${file}`) ?? ""; // none without IPv6
    for (const socket of parseSockets(sockets)) {
      if (socket.state !== state || !ports.has(socket.port) || socket.address === "other") continue;
      const address = socket.address === "any" ? undefined : socket.address;
      found.push({ protocol, port: socket.port, address, holder: processOf(socket.inode) });
    }
  }
  return found;
}

const LISTEN = "0A"; // TCP_LISTEN
const UNCONNECTED = "07"; // TCP_CLOSE, which is how an unconnected UDP socket shows
const socketFiles = [
  ["tcp", "TCP", LISTEN],
  ["tcp6", "TCP", LISTEN],
  ["udp", "UDP", UNCONNECTED],
  ["udp6", "UDP", UNCONNECTED],
] as const;

interface Socket {
  /** "any", an IPv4 address, or "other": an IPv6 address that no IPv4 packet reaches. */
  readonly address: string;
  readonly port: number;
  readonly state: string;
  readonly inode: string;
}

/** The lines of /proc/net/tcp and its like. A socket on `::` counts as on every IPv4 address: the file does not say whether it is. */
export function parseSockets(text: string): Socket[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const [address, port] = (fields[1] ?? "").split(":");
      const inode = fields[9];
      if (address === undefined || port === undefined || inode === undefined) return [];
      return [{ address: readAddress(address), port: Number.parseInt(port, 16), state: fields[3] ?? "", inode }];
    });
}

/** Addresses are in the machine's byte order, in words of 32 bits: little-endian on all that Node's Linux builds run on but s390x. */
function readAddress(hex: string): string {
  if (/^0+$/.test(hex)) return "any";
  const mapped = /^0{16}FFFF0000(.{8})$/i.exec(hex)?.[1];
  const word = hex.length === 8 ? hex : mapped;
  if (word === undefined) return "other";
  const value = Buffer.from(word, "hex").readUInt32LE();
  return value === 0 ? "any" : formatAddress(value);
}

/** Who has the socket, for the error message: looking through every process is slow, and happens only then. */
function processOf(inode: string): string {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        if (readlinkSync(`/proc/${pid}/fd/${fd}`) !== `socket:[${inode}]`) continue;
        return `process ${readFileSync(`/proc/${pid}/comm`, "utf8").trim()} (pid ${pid})`;
      }
    } catch (cause) {
      if (!isErrno(cause, "ENOENT", "ESRCH", "EACCES", "EPERM")) throw cause; // gone meanwhile, or not ours to see
    }
  }
  return "a socket of the machine";
}

/** The devices of this thread's network namespace. */
function devices(): string[] {
  return readdirSync("/proc/sys/net/ipv4/conf");
}
