import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(dirname(fileURLToPath(import.meta.url)));

/** A companion: a folder beside this one with a program. */
export interface Companion {
  /** Of the folder, the program and the image: `ambassador`. */
  readonly name: string;
  readonly main: string;
}

/** Every companion of this checkout, by name. */
export function companions(): Companion[] {
  return readdirSync(folder)
    .filter((name) => name !== "image")
    .map((name) => ({ name, main: join(folder, name, "main.ts") }))
    .filter(({ main }) => existsSync(main))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** The companion of that name; undefined where there is none. */
export function findCompanion(name: string): Companion | undefined {
  return companions().find((companion) => companion.name === name);
}
