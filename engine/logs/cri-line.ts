/** One line of a CRI log: `2026-01-02T03:04:05.123456789Z stdout F text`. */
export interface CriLine {
  /** As written: RFC 3339 with nanoseconds. */
  readonly time: string;
  readonly stream: "stdout" | "stderr";
  /** The container's line goes on in the stream's next one: it was cut, or had no newline yet. */
  readonly isPartial: boolean;
  readonly text: Uint8Array;
}

const SPACE = 0x20;
const LONGEST_HEAD = 128; // time, stream and tags; what comes after is the container's

/** Parses a line without its newline; undefined where it is no CRI log line. */
export function parseCriLine(line: Uint8Array): CriLine | undefined {
  const first = line.indexOf(SPACE);
  const second = first < 0 ? -1 : line.indexOf(SPACE, first + 1);
  if (second < 0 || second > LONGEST_HEAD) return undefined;
  const third = line.indexOf(SPACE, second + 1);
  const end = third < 0 ? line.length : third;
  const stream = latin1(line, first + 1, second);
  if (stream !== "stdout" && stream !== "stderr") return undefined;
  const [tag] = latin1(line, second + 1, Math.min(end, LONGEST_HEAD)).split(":");
  if (tag !== "F" && tag !== "P") return undefined;
  return { time: latin1(line, 0, first), stream, isPartial: tag === "P", text: line.subarray(Math.min(end + 1, line.length)) };
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}
