import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A companion: a folder here with a program, a `main.ts`, whose package.json has `companion`. This is the one place that finds them. */
export interface Companion {
  /** Of the folder, the program and the image: `ambassador`. */
  readonly name: string;
  /** What it does, in a line; `description` of its package.json. */
  readonly about: string;
  readonly main: string;
  /** Its further programs, which it starts as worker threads; `companion.threads`, below its folder. */
  readonly threads: readonly string[];
  /** Programs of the machine that it can make use of, by their paths; `companion.programs`. Left out of its image where the machine lacks one. */
  readonly programs: readonly string[];
}

/** Every companion of this checkout, by name. */
export function companions(): Companion[] {
  return readdirSync(import.meta.dirname)
    .flatMap(readCompanion)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** The companion of that name; undefined where there is none. */
export function findCompanion(name: string): Companion | undefined {
  return companions().find((companion) => companion.name === name);
}

/** What a companion's package.json says of it. */
interface Package {
  readonly description?: string;
  readonly companion?: { readonly programs?: readonly string[]; readonly threads?: readonly string[] };
}

function readCompanion(name: string): Companion[] {
  const folder = join(import.meta.dirname, name);
  const path = join(folder, "package.json");
  if (!existsSync(path)) return [];
  const { description = "", companion } = JSON.parse(readFileSync(path, "utf8")) as Package; // our own
  if (companion === undefined) return [];
  const { programs = [], threads = [] } = companion;
  return [{ name, about: description, main: join(folder, "main.ts"), threads: threads.map((thread) => join(folder, thread)), programs }];
}
