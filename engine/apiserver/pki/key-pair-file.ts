import { createPrivateKey, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { readTextIfPresent, writeFileAtomic } from "@peapod/kit";
import type { KeyPair } from "./certificates.ts";

export const DAY_MS = 24 * 60 * 60 * 1_000;

/** When every certificate of ours begins: its beginning says nothing, so that a clock that is behind finds none that is not valid yet. */
export const beginning = new Date(0);

/** The pair in `file`.crt and `file`.key, or undefined where it is not there, damaged, or no pair. */
export async function readPair(folder: string, file: string): Promise<KeyPair | undefined> {
  const [cert, key] = await Promise.all(pathsOf(folder, file).map(readTextIfPresent));
  return cert !== undefined && key !== undefined && belongTogether(cert, key) ? { cert, key } : undefined;
}

/** Writes a pair, for its owner alone to read. */
export async function writePair(folder: string, file: string, pair: KeyPair): Promise<void> {
  const [certPath, keyPath] = pathsOf(folder, file);
  await writeFileAtomic(keyPath, pair.key, { mode: 0o600, sync: true });
  await writeFileAtomic(certPath, pair.cert, { mode: 0o600, sync: true }); // last: a certificate stands for a finished pair
}

/** The pair in a file where it is there and good, else one made and written there. */
export async function keepPair(
  folder: string,
  file: string,
  isGood: (pair: KeyPair) => boolean,
  make: () => Promise<KeyPair>,
): Promise<KeyPair> {
  const kept = await readPair(folder, file);
  if (kept !== undefined && isGood(kept)) return kept;
  const pair = await make();
  await writePair(folder, file, pair);
  return pair;
}

/** A certificate, or undefined where the text is none. */
export function parseCertificate(cert: string): X509Certificate | undefined {
  try {
    return new X509Certificate(cert);
  } catch {
    return undefined; // a damaged file is made anew
  }
}

/** When a certificate ends, in milliseconds. */
export function endMsOf(cert: string): number {
  return parseCertificate(cert)?.validToDate.getTime() ?? -Infinity;
}

function pathsOf(folder: string, file: string): [string, string] {
  return [join(folder, `${file}.crt`), join(folder, `${file}.key`)];
}

function belongTogether(cert: string, key: string): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false; // as above
  }
}
