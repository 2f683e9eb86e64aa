import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { decodeYamlText } from "@peapod/client/yaml";
import { abortAfter, isErrno } from "@peapod/kit";
import { CliError, usageError } from "./cli-error.ts";

/** One text with manifests in it, and what messages call it. */
export interface ManifestSource {
  readonly name: string;
  readonly text: string;
}

const LIMIT_BYTES = 16 * 1024 * 1024;
const FETCH_WITHIN_MS = 30_000;
const MOST_FILES = 1_000;

/** Reads files, folders (their *.yaml, *.yml and *.json, by name), URLs and `-`, standard input. Throws a CliError that names what cannot be read. */
export async function readSources(places: readonly string[], signal: AbortSignal): Promise<ManifestSource[]> {
  if (places.length === 0) throw usageError("Name a manifest: a file, a folder, a URL, or - for standard input");
  if (places.filter((place) => place === "-").length > 1) throw usageError("Standard input can be read only once");
  const sources: ManifestSource[] = [];
  for (const place of places) sources.push(...(await readPlace(place, signal)));
  return sources;
}

async function readPlace(place: string, signal: AbortSignal): Promise<ManifestSource[]> {
  if (place === "-") return [{ name: "standard input", text: await readAll(process.stdin, "standard input") }];
  if (/^https?:\/\//i.test(place)) return [{ name: place, text: await fetchText(place, signal) }];
  try {
    if (!(await stat(place)).isDirectory()) return [{ name: place, text: await readFileLimited(place) }];
    const names = (await readdir(place)).filter((name) => /\.(ya?ml|json)$/i.test(name)).toSorted();
    if (names.length === 0) throw new CliError(`${place} has no *.yaml, *.yml or *.json file`);
    if (names.length > MOST_FILES) throw new CliError(`${place} has ${names.length} manifests, more than ${MOST_FILES}`);
    const paths = names.map((name) => join(place, name));
    return await Promise.all(paths.map(async (path) => ({ name: path, text: await readFileLimited(path) })));
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) throw new CliError(`No such file or folder: ${place}`, { cause });
    if (isErrno(cause, "EACCES", "EISDIR", "ENOTDIR")) throw new CliError(`Cannot read ${place}: ${cause.message}`, { cause });
    throw cause;
  }
}

async function readFileLimited(path: string): Promise<string> {
  const { size } = await stat(path);
  if (size > LIMIT_BYTES) throw tooLong(path);
  return textOf(await readFile(path), path);
}

async function fetchText(url: string, signal: AbortSignal): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, abortAfter(FETCH_WITHIN_MS)]) });
    if (!response.ok || response.body === null)
      throw new CliError(`Cannot fetch ${url}: the server answered ${response.status} ${response.statusText}`);
    return await readAll(response.body, url);
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof CliError) throw cause;
    const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    throw new CliError(`Cannot fetch ${url}: ${inner instanceof Error ? inner.message : String(inner)}`, { cause });
  }
}

async function readAll(stream: AsyncIterable<Uint8Array>, name: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > LIMIT_BYTES) throw tooLong(name);
    chunks.push(chunk);
  }
  return textOf(Buffer.concat(chunks), name);
}

function textOf(bytes: Buffer, name: string): string {
  try {
    return decodeYamlText(bytes);
  } catch (cause) {
    const before = bytes.toString("utf8").split("\uFFFD", 1)[0] ?? "";
    throw new CliError(`${name}:${before.split("\n").length}: this is neither UTF-8 nor UTF-16 with a byte order mark`, { cause });
  }
}

function tooLong(name: string): CliError {
  return new CliError(`${name} is longer than ${LIMIT_BYTES / 1024 / 1024} MiB`);
}
