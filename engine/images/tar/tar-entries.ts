import { TarBytes } from "./tar-bytes.ts";
import { TarError } from "./tar-error.ts";
import { BLOCK_BYTES, parseHeader, type TarHeader } from "./tar-header.ts";
import { parsePax } from "./tar-pax.ts";
import { checkSparse, readGnuSparse, readPaxSparse, type SparseFile } from "./tar-sparse.ts";

/**
 * One entry of a tar archive, as the archive has it: nothing is checked yet. Names are bytes, here latin1: a character for each.
 */
export interface TarEntry {
  readonly path: string;
  readonly kind: "file" | "directory" | "symlink" | "hard-link" | "character-device" | "block-device" | "fifo";
  /** Of a symlink or hard link. */
  readonly target: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSeconds: number;
  /** Of a file, with its holes. */
  readonly sizeBytes: number;
  /** What the archive has of it. */
  readonly storedBytes: number;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

/** Where the content of a file goes. What no `write` covers is a hole. */
export interface TarContent {
  write(chunk: Uint8Array, position: number): void;
  end(): void;
}

/** Takes a tar's entries as they come. `begin` gives where the content of a file goes. */
export interface TarSink {
  begin(entry: TarEntry): TarContent | undefined;
}

/** Of a long name or an extended header, which are held in memory. */
const EXTENSION_LIMIT_BYTES = 1024 * 1024;
/** The kernel's limit of a path, and of a link's target. */
const NAME_LIMIT_BYTES = 4095;

/** What a file system can still write down: the year 2446 on ext4. */
const LATEST_SECONDS = 15_000_000_000;

const kinds: Readonly<Record<string, TarEntry["kind"]>> = {
  "\0": "file",
  "0": "file",
  "7": "file", // contiguous
  S: "file", // sparse
  "1": "hard-link",
  "2": "symlink",
  "3": "character-device",
  "4": "block-device",
  "5": "directory",
  "6": "fifo",
};

/** What the headers before an entry's own say of it. */
interface Extension {
  name?: string;
  linkName?: string;
  records: [key: string, value: string][];
}

/** Reads a tar archive to its end: V7, ustar, PAX, GNU and star. Everything that `sink` does is synchronous. Throws a TarError, or what the sink threw. */
export async function readTar(source: AsyncIterable<Uint8Array>, sink: TarSink): Promise<void> {
  await using bytes = new TarBytes(source);
  let extension: Extension = { records: [] };
  for (let zeroBlocks = 0; zeroBlocks < 2;) {
    const block = await bytes.take(BLOCK_BYTES);
    if (block === undefined) break; // many leave the zeros out
    const header = parseHeader(block);
    zeroBlocks = header === undefined ? zeroBlocks + 1 : 0;
    if (header === undefined) continue;
    const isExtension = await readExtension(header, extension, bytes);
    if (isExtension) continue;
    await readEntry({ block, header, extension }, bytes, sink);
    extension = { records: [] };
  }
  await bytes.drain();
}

/** Takes a header that says something of the next entry; false for an entry's own. What is said of all of them (`g`) counts nowhere else either. */
async function readExtension(header: TarHeader, extension: Extension, bytes: TarBytes): Promise<boolean> {
  switch (header.type) {
    case "x":
      extension.records = parsePax(await readExtensionData(header, bytes));
      return true;
    case "L":
      extension.name = textOf(await readExtensionData(header, bytes));
      return true;
    case "K":
      extension.linkName = textOf(await readExtensionData(header, bytes));
      return true;
    case "g":
      await bytes.forward(padded(header.sizeBytes), () => {});
      return true;
    default:
      return false;
  }
}

async function readExtensionData({ sizeBytes, name }: TarHeader, bytes: TarBytes): Promise<Buffer> {
  if (sizeBytes > EXTENSION_LIMIT_BYTES) throw new TarError(`It has an extended header of more than ${EXTENSION_LIMIT_BYTES} bytes`, name);
  if (sizeBytes === 0) return Buffer.alloc(0);
  const data = await bytes.take(padded(sizeBytes));
  if (data === undefined) throw new TarError("The archive is cut off");
  return data.subarray(0, sizeBytes);
}

async function readEntry(
  found: { readonly block: Buffer; readonly header: TarHeader; readonly extension: Extension },
  bytes: TarBytes,
  sink: TarSink,
): Promise<void> {
  const { block, header, extension } = found;
  const pax = new Map(extension.records);
  const entry = describe(header, extension, pax);
  const isFile = entry.kind === "file";
  const dataBytes = isFile ? sizeOf(pax, header) : 0; // the others have none, whatever they say
  let storedBytes = dataBytes;
  let sparse: SparseFile | undefined;
  if (header.type === "S") sparse = await readGnuSparse(block, bytes);
  else if (isFile) {
    const read = await readPaxSparse(extension.records, dataBytes, bytes);
    sparse = read?.file;
    storedBytes = read?.storedBytes ?? dataBytes;
  }
  if (sparse !== undefined) checkSparse(sparse, storedBytes);
  const content = sink.begin({ ...entry, sizeBytes: sparse?.sizeBytes ?? storedBytes, storedBytes });
  for (const { offset, length } of sparse?.parts ?? [{ offset: 0, length: storedBytes }]) {
    let position = offset;
    await bytes.forward(length, (chunk) => {
      content?.write(chunk, position);
      position += chunk.length;
    });
  }
  content?.end();
  await bytes.forward(padded(dataBytes) - dataBytes, () => {});
}

function describe(header: TarHeader, extension: Extension, pax: ReadonlyMap<string, string>): Omit<TarEntry, "sizeBytes" | "storedBytes"> {
  const path = pax.get("GNU.sparse.name") ?? pax.get("path") ?? extension.name ?? header.name;
  const target = pax.get("linkpath") ?? extension.linkName ?? header.linkName;
  const known = kinds[header.type];
  if (known === undefined) throw new TarError(`It is of a kind that is not supported (${JSON.stringify(header.type)})`, path);
  for (const name of [path, target]) {
    if (name.length > NAME_LIMIT_BYTES) throw new TarError(`It has a name of more than ${NAME_LIMIT_BYTES} bytes`, path.slice(0, 100));
    if (name.includes("\0")) throw new TarError("It has a name with a zero byte", path);
  }
  return {
    path,
    kind: known === "file" && path.endsWith("/") ? "directory" : known, // as the oldest tars have it
    target,
    mode: header.mode & 0o7777,
    uid: numberOf(pax.get("uid"), header.uid),
    gid: numberOf(pax.get("gid"), header.gid),
    mtimeSeconds: Math.min(Math.max(numberOf(pax.get("mtime"), header.mtimeSeconds), 0), LATEST_SECONDS),
    major: header.major,
    minor: header.minor,
    xattrs: xattrsOf(pax),
  };
}

const xattrPrefix = "SCHILY.xattr.";

function xattrsOf(pax: ReadonlyMap<string, string>): Map<string, Uint8Array> {
  const found = pax.entries().filter(([key]) => key.startsWith(xattrPrefix));
  return new Map(found.map(([key, value]) => [key.slice(xattrPrefix.length), Buffer.from(value, "latin1")]));
}

function sizeOf(pax: ReadonlyMap<string, string>, header: TarHeader): number {
  const size = numberOf(pax.get("size"), header.sizeBytes);
  if (size < 0 || !Number.isSafeInteger(size)) throw new TarError("It has a size that cannot be", header.name);
  return size;
}

function numberOf(value: string | undefined, fallback: number): number {
  const parsed = value === undefined ? fallback : Number(value);
  return Number.isFinite(parsed) ? parsed : 0;
}

function textOf(data: Buffer): string {
  const end = data.indexOf(0);
  return data.toString("latin1", 0, end < 0 ? data.length : end);
}

function padded(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
}
