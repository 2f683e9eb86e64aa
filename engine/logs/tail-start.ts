import type { FileHandle } from "node:fs/promises";
import { type CriLine, parseCriLine } from "./cri-line.ts";

const BLOCK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/**
 * Where the last `lines` of a CRI log's container lines begin, found from the end: partial lines count with the whole that they belong
 * to, and only `stream`'s count where one is given. Reads no more of the file than that.
 */
export async function findTailStart(file: FileHandle, lines: number, stream?: CriLine["stream"]): Promise<number> {
  const { size } = await file.stat();
  if (lines <= 0) return size;
  let found = 0;
  let start = size;
  for await (const { offset, line } of linesFromEnd(file, size)) {
    const parsed = parseCriLine(line);
    const counts = parsed === undefined || stream === undefined || parsed.stream === stream;
    // Backwards, a whole line (F) ends the one after it: what was collected so far is complete. An open end (P) is a line too.
    if (counts && (parsed?.isPartial !== true || start === size)) {
      if (found === lines) return start;
      found += 1;
    }
    start = offset;
  }
  return 0;
}

/** The lines of a file, the last first, with the offset that each begins at. */
async function* linesFromEnd(file: FileHandle, size: number): AsyncGenerator<{ offset: number; line: Uint8Array }> {
  let rest: Buffer = Buffer.alloc(0); // from `position` on, up to a newline that is not in it
  let position = size;
  let isLast = true;
  while (position > 0) {
    const length = Math.min(BLOCK_BYTES, position);
    position -= length;
    const block = Buffer.alloc(length);
    await file.read(block, 0, length, position);
    rest = Buffer.concat([block, rest]);
    for (let end = rest.lastIndexOf(NEWLINE); end >= 0; end = rest.lastIndexOf(NEWLINE)) {
      const line = rest.subarray(end + 1);
      if (!isLast || line.length > 0) yield { offset: position + end + 1, line };
      isLast = false;
      rest = rest.subarray(0, end);
    }
  }
  if (rest.length > 0) yield { offset: 0, line: rest };
}
