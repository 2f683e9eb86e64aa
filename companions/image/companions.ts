import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(dirname(fileURLToPath(import.meta.url)));

/** A companion: a folder beside this one with a program. */
export interface Companion {
  /** Of the folder, the program and the image: `ambassador`. */
  readonly name: string;
  readonly main: string;
  /** Programs of this machine that it can make use of, by their paths; `programs` of its package.json. Left out where the machine lacks one. */
  readonly programs: readonly string[];
}

/** Every companion of this checkout, by name. */
export function companions(): Companion[] {
  return readdirSync(folder)
    .filter((name) => name !== "image" && existsSync(join(folder, name, "main.ts")))
    .map((name) => ({ name, main: join(folder, name, "main.ts"), programs: programsOf(join(folder, name, "package.json")) }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** The companion of that name; undefined where there is none. */
export function findCompanion(name: string): Companion | undefined {
  return companions().find((companion) => companion.name === name);
}

function programsOf(packageFile: string): readonly string[] {
  const { programs = [] } = JSON.parse(readFileSync(packageFile, "utf8")) as { programs?: string[] }; // our own
  return programs.filter((path) => existsSync(path));
}
