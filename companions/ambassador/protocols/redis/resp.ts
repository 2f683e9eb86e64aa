import type { Wire } from "../../flow/wire.ts";
import { AmbassadorError } from "../../errors.ts";

/** A reply of a server that speaks RESP2, as it does until a client says HELLO 3. */
export type Reply =
  | { readonly kind: "status" | "error" | "bulk"; readonly text: string }
  | { readonly kind: "integer"; readonly value: number }
  | { readonly kind: "array"; readonly items: readonly Reply[] }
  | { readonly kind: "null" };

/** Far above what AUTH, SELECT, PING and ROLE give; what is above them is an attack, or another protocol. */
const limits = { lineBytes: 1_024, bulkBytes: 65_536, items: 4_096, depth: 4, replyBytes: 262_144 };

/** A command as an array of bulk strings, the one form that every server takes (https://redis.io/docs/latest/develop/reference/protocol-spec/). */
export function encodeCommand(...args: readonly (string | Uint8Array)[]): Buffer {
  const parts = args.flatMap((arg) => {
    const bytes = typeof arg === "string" ? Buffer.from(arg) : arg;
    return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n")];
  });
  return Buffer.concat([Buffer.from(`*${args.length}\r\n`), ...parts]);
}

/** The next reply. Throws UPSTREAM_PROTOCOL for what is none, or is too large; a WireEnded where the upstream ends before. */
export async function readReply(wire: Wire): Promise<Reply> {
  return await readPart(wire, { leftBytes: limits.replyBytes }, 0);
}

/** What one reply may still have, all its items together. */
interface Allowance {
  leftBytes: number;
}

async function readPart(wire: Wire, allowance: Allowance, depth: number): Promise<Reply> {
  const line = await readLine(wire);
  spend(allowance, line.length);
  const rest = line.slice(1);
  switch (line.charAt(0)) {
    case "+":
      return { kind: "status", text: rest };
    case "-":
      return { kind: "error", text: rest };
    case ":":
      return { kind: "integer", value: Number(rest) };
    case "$":
      return await readBulk(wire, lengthOf(rest, limits.bulkBytes), allowance);
    case "*":
      return await readArray(wire, lengthOf(rest, limits.items), { allowance, depth });
    default:
      throw notRedis("another protocol");
  }
}

async function readBulk(wire: Wire, length: number, allowance: Allowance): Promise<Reply> {
  if (length === -1) return { kind: "null" };
  spend(allowance, length);
  const bytes = await wire.read(length + 2);
  return { kind: "bulk", text: bytes.toString("utf8", 0, length) };
}

async function readArray(wire: Wire, length: number, { allowance, depth }: { allowance: Allowance; depth: number }): Promise<Reply> {
  if (length === -1) return { kind: "null" };
  if (depth >= limits.depth) throw notRedis("arrays too deep");
  const items: Reply[] = [];
  while (items.length < length) items.push(await readPart(wire, allowance, depth + 1));
  return { kind: "array", items };
}

function spend(allowance: Allowance, bytes: number): void {
  allowance.leftBytes -= bytes;
  if (allowance.leftBytes < 0) throw notRedis("a reply without an end");
}

function lengthOf(text: string, limit: number): number {
  const length = /^(?:-1|\d{1,9})$/.test(text) ? Number(text) : Number.NaN;
  if (!(length <= limit)) throw notRedis("a length that cannot be");
  return length;
}

async function readLine(wire: Wire): Promise<string> {
  let line = Buffer.alloc(0);
  for (;;) {
    const end = line.indexOf("\r\n");
    if (end !== -1) {
      wire.unread(line.subarray(end + 2));
      return line.toString("utf8", 0, end);
    }
    if (line.length >= limits.lineBytes) throw notRedis("a line without an end");
    const more = await wire.read(1); // throws where the other side has ended
    const others = wire.buffered > 0 ? await wire.readSome(limits.lineBytes - line.length) : Buffer.alloc(0);
    line = Buffer.concat([line, more, others]);
  }
}

function notRedis(what: string): AmbassadorError {
  return new AmbassadorError("UPSTREAM_PROTOCOL", `The upstream does not answer as Redis does: ${what}`);
}
