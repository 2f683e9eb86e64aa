import type { HttpClient, LogQuery } from "@peapod/client";
import type { NamedObject } from "@peapod/client";

/** One line of a container's log, or a piece of one that is very long. */
export interface LogLine {
  /** When it was written: RFC 3339 with nanoseconds. */
  readonly time: string;
  /** The container's own bytes, with the end of line where it has one. */
  readonly bytes: Buffer;
}

const LINE_LIMIT_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;
const LONGEST_TIME = 64;

/** The lines of a container's log, each with its time. */
export async function* logLines(client: HttpClient, pod: NamedObject, query: LogQuery, signal: AbortSignal): AsyncGenerator<LogLine> {
  yield* readLines(client.logs(pod, { ...query, timestamps: true }, signal));
}

/** Cuts a log, cut anywhere, into its lines, and the time off each. What it is given comes out again, byte by byte. */
export async function* readLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<LogLine> {
  let before: LogLine | undefined;
  for await (const piece of pieces(source)) {
    const isRest = before !== undefined && before.bytes.at(-1) !== NEWLINE;
    before = isRest ? { time: before?.time ?? "", bytes: piece } : parseLine(piece);
    yield before;
  }
}

/** Each up to a newline and with it, or as long as the limit. */
async function* pieces(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    let buffer = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    for (;;) {
      const found = buffer.indexOf(NEWLINE);
      const end = found >= 0 && found < LINE_LIMIT_BYTES ? found + 1 : buffer.length >= LINE_LIMIT_BYTES ? LINE_LIMIT_BYTES : 0;
      if (end === 0) break;
      yield buffer.subarray(0, end);
      buffer = buffer.subarray(end);
    }
    rest = buffer;
  }
  if (rest.length > 0) yield rest;
}

/** The lines of several logs in the order of time. */
export async function* mergeByTime(
  logs: readonly { name: string; lines: AsyncGenerator<LogLine> }[],
): AsyncGenerator<LogLine & { name: string }> {
  const heads = await Promise.all(
    logs.map(async ({ name, lines }) => {
      const { value, done } = await lines.next();
      return { name, lines, head: done === true ? undefined : value };
    }),
  );
  for (;;) {
    let earliest: (typeof heads)[number] | undefined;
    for (const candidate of heads) {
      if (candidate.head !== undefined && (earliest?.head === undefined || candidate.head.time < earliest.head.time)) earliest = candidate;
    }
    if (earliest?.head === undefined) return;
    yield { ...earliest.head, name: earliest.name };
    const { value, done } = await earliest.lines.next();
    earliest.head = done === true ? undefined : value;
  }
}

/** Cuts the time off a line. */
export function parseLine(line: Buffer): LogLine {
  const match = /^(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)) ?/.exec(line.subarray(0, LONGEST_TIME).toString("latin1"));
  return { time: match?.[1] ?? "", bytes: line.subarray(match?.[0].length ?? 0) };
}
