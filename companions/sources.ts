import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

import { fileURLToPath } from "node:url";
import { giveWay } from "@peapod/kit";

/** A file of the repository, and what it says. */
export interface Source {
  readonly path: string;
  readonly text: string;
}

/**
 * The files of the repository that programs are made of, by path: their own, and everything that these import, however far. What comes from a
 * registry is not among them: package-lock.json says what that is. A file that is imported and missing is left out; whoever bundles it says so.
 */
export async function sourcesOf(programs: readonly string[]): Promise<Source[]> {
  const found = new Map<string, Source>();
  let next = [...new Set(programs)];
  while (next.length > 0) {
    const sources = next.map(read); // at once: to wait for each of some hundred small files costs more than to read it
    for (const source of sources) if (source !== undefined) found.set(source.path, source);
    const targets = sources.flatMap((source) => (source === undefined ? [] : importsOf(source)));
    next = [...new Set(targets)].filter((path) => !found.has(path));
    await giveWay(); // others have their turn between two steps of the way
  }
  return [...found.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function read(path: string): Source | undefined {
  try {
    return { path, text: readFileSync(path, "utf8") };
  } catch {
    return undefined; // the bundler's to tell
  }
}

/** Of a comment, too: one file too many makes an image anew for nothing, one too few would leave an old one. */
function importsOf({ path, text }: Source): string[] {
  if (!path.endsWith(".ts")) return [];
  const targets = [...text.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1] ?? "");
  return targets.flatMap((target) => {
    if (target.startsWith(".")) return [resolve(dirname(path), target)];
    return target.startsWith("@peapod/") ? [fileURLToPath(import.meta.resolve(target))] : [];
  });
}
