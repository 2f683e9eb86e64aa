import { TarError } from "./tar-error.ts";
import { BLOCK_BYTES, readSize } from "./tar-header.ts";
import type { TarBytes } from "./tar-bytes.ts";

/**
 * Sparse files, in GNU tar's four ways: a type of its own, and three by PAX records. Each says where in the file the bytes of the
 * archive go. https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html
 */
export interface SparseFile {
  readonly parts: readonly SparsePart[];
  /** Of the file, holes counted. */
  readonly sizeBytes: number;
}

export interface SparsePart {
  readonly offset: number;
  readonly length: number;
}

const PART_LIMIT = 1_000_000;
const PART_BYTES = 24;
/** A map in the data is numbers, each on a line. */
const LINE_LIMIT_BYTES = 24;

/** The type `S`: four parts in the header, more in the blocks that follow it. */
export async function readGnuSparse(header: Buffer, bytes: TarBytes): Promise<SparseFile> {
  const parts = partsIn(header, 386, 4);
  for (let isMore = header[482] === 1; isMore;) {
    const block = await bytes.take(BLOCK_BYTES);
    if (block === undefined) throw new TarError("The archive is cut off");
    parts.push(...partsIn(block, 0, 21));
    if (parts.length > PART_LIMIT) throw tooMany();
    isMore = block[504] === 1;
  }
  return { parts, sizeBytes: readSize(header, 483) };
}

/** By PAX records. Undefined: no sparse file. `storedBytes` is what of the data is the file's, once the map in it has been read. */
export async function readPaxSparse(
  records: readonly (readonly [key: string, value: string])[],
  storedBytes: number,
  bytes: TarBytes,
): Promise<{ file: SparseFile; storedBytes: number } | undefined> {
  const found = new Map(records.filter(([key]) => key.startsWith("GNU.sparse.")));
  if (found.size === 0) return undefined;
  const sizeBytes = numberOf(found.get("GNU.sparse.realsize") ?? found.get("GNU.sparse.size") ?? "");
  if (found.get("GNU.sparse.major") === "1") {
    const { numbers, readBytes } = await readMap(bytes, storedBytes);
    return { file: { parts: inPairs(numbers), sizeBytes }, storedBytes: storedBytes - readBytes };
  }
  const list = found.get("GNU.sparse.map")?.split(",");
  const single = records.filter(([key]) => key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes").map(([, value]) => value);
  const numbers = (list ?? single).filter((value) => value !== "").map(numberOf);
  return { file: { parts: inPairs(numbers), sizeBytes }, storedBytes };
}

/** Throws a TarError where the parts are not in order, do not fit into the file, or are not what is stored. */
export function checkSparse({ parts, sizeBytes }: SparseFile, storedBytes: number): void {
  let end = 0;
  let sum = 0;
  for (const { offset, length } of parts) {
    if (offset < end || offset + length > sizeBytes) throw new TarError("It is a sparse file whose parts cannot be");
    end = offset + length;
    sum += length;
  }
  if (sum !== storedBytes) throw new TarError("It is a sparse file whose parts are not what is stored of it");
}

function partsIn(block: Buffer, at: number, count: number): SparsePart[] {
  const parts: SparsePart[] = [];
  for (let index = 0; index < count; index += 1) {
    const start = at + index * PART_BYTES;
    if (block[start] === 0) break;
    parts.push({ offset: readSize(block, start), length: readSize(block, start + 12) });
  }
  return parts;
}

/** The map before the data: how many parts there are, then two numbers for each, and zeros to the end of the block. */
async function readMap(bytes: TarBytes, limitBytes: number): Promise<{ numbers: number[]; readBytes: number }> {
  const numbers: number[] = [];
  let wanted = 1;
  let rest = "";
  let readBytes = 0;
  while (numbers.length < wanted) {
    const block = readBytes + BLOCK_BYTES > limitBytes ? undefined : await bytes.take(BLOCK_BYTES);
    if (block === undefined || rest.length > LINE_LIMIT_BYTES) throw new TarError("It is a sparse file without a map");
    readBytes += BLOCK_BYTES;
    const lines = (rest + block.toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    numbers.push(...lines.slice(0, wanted - numbers.length).map(numberOf));
    if (wanted === 1 && numbers[0] !== undefined) {
      if (numbers[0] > PART_LIMIT) throw tooMany();
      wanted = 1 + 2 * numbers[0];
      numbers.push(...lines.slice(1, wanted).map(numberOf));
    }
  }
  return { numbers: numbers.slice(1), readBytes };
}

function inPairs(numbers: readonly number[]): SparsePart[] {
  if (numbers.length % 2 === 1) throw new TarError("It is a sparse file whose map is cut off");
  if (numbers.length / 2 > PART_LIMIT) throw tooMany();
  return Array.from({ length: numbers.length / 2 }, (_, index) => ({
    offset: numbers[2 * index] ?? 0,
    length: numbers[2 * index + 1] ?? 0,
  }));
}

function numberOf(text: string): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new TarError("It is a sparse file whose map is no numbers");
  return value;
}

function tooMany(): TarError {
  return new TarError(`It is a sparse file of more than ${PART_LIMIT} parts`);
}
