import { type CriLine, parseCriLine } from "./cri-line.ts";
import type { LogFile } from "./log-chain.ts";

const BLOCK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** A place in the files of a log. */
export interface LogPlace {
  readonly index: number;
  readonly position: number;
}

/**
 * Where the last `lines` of a CRI log's container lines begin, found from the end: partial lines count with the whole that they belong
 * to, and only `stream`'s count where one is given. Reads no more of the files, the oldest first, than that, and nothing after
 * `sizeBytes` of the last.
 */
export async function findTailStart(
  files: readonly LogFile[],
  sizeBytes: number,
  lines: number,
  stream?: CriLine["stream"],
): Promise<LogPlace> {
  if (lines <= 0) return { index: files.length - 1, position: sizeBytes };
  let found = 0;
  let start: LogPlace | undefined;
  for await (const { place, line } of linesFromEnd(files, sizeBytes)) {
    const parsed = parseCriLine(line);
    const counts = parsed === undefined || stream === undefined || parsed.stream === stream;
    // Backwards, a whole line (F) ends the one after it: what was collected so far is complete. An open end (P) is a line too.
    if (counts && (parsed?.isPartial !== true || start === undefined)) {
      if (found === lines) return start ?? place;
      found += 1;
    }
    start = place;
  }
  return { index: 0, position: 0 };
}

/** The lines of the files, the last first, with the place that each begins at. */
async function* linesFromEnd(files: readonly LogFile[], sizeBytes: number): AsyncGenerator<{ place: LogPlace; line: Uint8Array }> {
  for (const [index, file] of [...files.entries()].toReversed()) {
    let rest: Buffer = Buffer.alloc(0); // from `position` on, up to a newline that is not in it
    for (let position = index === files.length - 1 ? sizeBytes : await file.sizeBytes(); position > 0;) {
      const length = Math.min(BLOCK_BYTES, position);
      position -= length;
      rest = Buffer.concat([await file.read(position, length), rest]);
      for (let end = rest.lastIndexOf(NEWLINE); end >= 0; end = rest.lastIndexOf(NEWLINE)) {
        const line = rest.subarray(end + 1);
        if (line.length > 0) yield { place: { index, position: position + end + 1 }, line };
        rest = rest.subarray(0, end);
      }
    }
    if (rest.length > 0) yield { place: { index, position: 0 }, line: rest };
  }
}
