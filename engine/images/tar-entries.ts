import { isUtf8 } from "node:buffer";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Extract, extract, type Header } from "tar-stream";

/** One entry of a tar archive. Paths as the archive has them: nothing is checked yet. */
export interface TarEntry {
  readonly path: string;
  readonly kind: "file" | "directory" | "symlink" | "hard-link" | "character-device" | "block-device" | "fifo";
  /** Of a symlink or hard link. */
  readonly target: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSeconds: number;
  readonly sizeBytes: number;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

/** Takes a tar's entries as they come. `begin` gives where the content of a file goes. */
export interface TarSink {
  begin(entry: TarEntry): { write(chunk: Uint8Array): void; end(): void } | undefined;
}

/** An archive that is no tar, or one of a kind that is not taken. `path` names the entry, where it is one's fault. */
export class TarError extends Error {
  override readonly name = "TarError";
  readonly path: string | undefined;
  constructor(message: string, path?: string, options?: ErrorOptions) {
    super(message, options);
    this.path = path;
  }
}

/** Reads a tar archive to its end: ustar, PAX and GNU. Everything that `sink` does is synchronous. Throws a TarError, or what the sink threw. */
export async function readTar(source: AsyncIterable<Uint8Array> | Readable, sink: TarSink): Promise<void> {
  // Bytes as they are: names are decoded in `text`, which refuses what is not UTF-8 instead of changing it.
  const reader = extract({ filenameEncoding: "latin1", allowUnknownFormat: true });
  keepBinaryValues(reader);
  let failure: Error | undefined;
  reader.on("entry", (header, body, next) => {
    const guard = (act: () => void): void => {
      try {
        act();
      } catch (cause) {
        failure ??= cause instanceof Error ? cause : new Error(String(cause));
        reader.destroy(failure);
      }
    };
    body.on("error", () => {}); // the reader's own
    guard(() => {
      const content = sink.begin(toEntry(header));
      body.on("data", (chunk: Uint8Array) => guard(() => content?.write(chunk)));
      body.on("end", () =>
        guard(() => {
          content?.end();
          next();
        }),
      );
    });
  });
  try {
    await pipeline(source, reader);
  } catch (cause) {
    if (failure !== undefined) throw failure;
    if (cause instanceof Error && /Invalid tar header|Unexpected end of data|Header exceeds|Invalid header/.test(cause.message)) {
      throw new TarError(
        cause.message.startsWith("Unexpected end") ? "The archive is cut off" : `It is no tar archive (${cause.message})`,
        undefined,
        { cause },
      );
    }
    throw cause;
  }
}

/**
 * tar-stream reads extended headers as UTF-8, which destroys binary values such as security.capability. Its version is pinned, and a
 * test carries such a value through.
 */
function keepBinaryValues(reader: Extract): void {
  const decode = reader._decodeLongHeader.bind(reader);
  reader._decodeLongHeader = (bytes) => {
    const type = reader._header?.type;
    if (type === "pax-global-header") reader._paxGlobal = parsePax(bytes);
    else if (type === "pax-header") reader._pax = { ...reader._paxGlobal, ...parsePax(bytes) };
    else decode(bytes);
  };
}

/** Records of `LENGTH KEY=VALUE\n`, as byte strings. */
export function parsePax(bytes: Uint8Array): Record<string, string> {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const result: Record<string, string> = Object.create(null) as Record<string, string>; // no prototype: keys are the archive's
  for (let start = 0; start < whole.length && whole[start] !== 0;) {
    const space = whole.indexOf(0x20, start);
    const digits = space < 0 ? "" : whole.toString("latin1", start, space);
    const end = start + Number(digits);
    const equals = whole.indexOf(0x3d, space);
    if (!/^[0-9]{1,9}$/.test(digits) || end > whole.length || whole[end - 1] !== 0x0a || equals < 0 || equals >= end) {
      throw new TarError("It has a malformed extended header");
    }
    result[whole.toString("latin1", space + 1, equals)] = whole.toString("latin1", equals + 1, end - 1);
    start = end;
  }
  return result;
}

const kinds: Readonly<Record<string, TarEntry["kind"]>> = {
  file: "file",
  "contiguous-file": "file",
  directory: "directory",
  symlink: "symlink",
  link: "hard-link",
  "character-device": "character-device",
  "block-device": "block-device",
  fifo: "fifo",
};

const xattrPrefix = "SCHILY.xattr.";

function toEntry(header: Header): TarEntry {
  const pax = header.pax ?? {};
  const path = text(header.name);
  const kind = kinds[header.type ?? ""];
  const isSparse = header.type === null || Object.keys(pax).some((key) => key.startsWith("GNU.sparse."));
  if (kind === undefined || isSparse) throw new TarError("It is of a kind that is not supported (a sparse file, or an extension)", path);
  const xattrs = Object.entries(pax).filter(([key]) => key.startsWith(xattrPrefix));
  return {
    path,
    kind,
    target: text(header.linkname ?? ""),
    mode: header.mode & 0o7777,
    uid: number(pax["uid"], header.uid),
    gid: number(pax["gid"], header.gid),
    mtimeSeconds: number(pax["mtime"], header.mtime.getTime() / 1000),
    sizeBytes: header.size,
    major: header.devmajor,
    minor: header.devminor,
    xattrs: new Map(xattrs.map(([key, value]) => [key.slice(xattrPrefix.length), Buffer.from(value, "latin1")])),
  };
}

function number(value: string | undefined, fallback: number): number {
  const parsed = value === undefined ? fallback : Number(value);
  return Number.isFinite(parsed) ? parsed : 0;
}

function text(bytes: string): string {
  const buffer = Buffer.from(bytes, "latin1");
  if (!isUtf8(buffer)) throw new TarError("Its name is not UTF-8", bytes);
  if (buffer.includes(0)) throw new TarError("Its name has a zero byte", bytes);
  return buffer.toString("utf8");
}
