import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { nativeAmong } from "./native-packages.ts";

const folder = dirname(dirname(fileURLToPath(import.meta.url)));

/** A companion: a folder beside this one with a program. */
export interface Companion {
  /** Of the folder, the program and the image: `ambassador`. */
  readonly name: string;
  readonly main: string;
  /** Programs of this machine that it can make use of, by their paths; `programs` of its package.json. Left out where the machine lacks one. */
  readonly programs: readonly string[];
  /** Its further programs, which it starts as worker threads; `threads` of its package.json, below its folder. */
  readonly threads: readonly string[];
  /** The packages among its dependencies that are not bundled. */
  readonly nativePackages: readonly string[];
}

/** Every companion of this checkout, by name. */
export function companions(): Companion[] {
  return readdirSync(folder)
    .filter((name) => name !== "image" && existsSync(join(folder, name, "main.ts")))
    .map(readCompanion)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** The companion of that name; undefined where there is none. */
export function findCompanion(name: string): Companion | undefined {
  return companions().find((companion) => companion.name === name);
}

/** What a companion's package.json says about its image. */
interface Package {
  readonly programs?: readonly string[];
  readonly threads?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
}

function readCompanion(name: string): Companion {
  const own = join(folder, name);
  const { programs = [], threads = [], dependencies = {} } = JSON.parse(readFileSync(join(own, "package.json"), "utf8")) as Package; // our own
  return {
    name,
    main: join(own, "main.ts"),
    programs: programs.filter((path) => existsSync(path)),
    threads: threads.map((path) => join(own, path)),
    nativePackages: nativeAmong(Object.keys(dependencies)),
  };
}
