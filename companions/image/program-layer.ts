import { existsSync } from "node:fs";
import { chmod, mkdir, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { bundle } from "./bundle.ts";
import type { Companion } from "../companions.ts";
import { copyFiles, type ImageFile } from "./image-file.ts";
import { findNativePackage, nativeNames } from "./native-packages.ts";
import { findLibraries, findProgramFiles } from "./node-files.ts";

export interface ProgramLayerOptions {
  /** What the layer below has: a library that is there is not brought again. */
  readonly below: readonly ImageFile[];
  readonly onStep: (message: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Writes what of an image is the companion's own: `/app/NAME.mjs` and its threads' bundles beside it, the packages that have native files in
 * `/app/node_modules`, the programs that it makes use of, and the libraries of both. A package that this machine lacks is left out, and
 * `onStep` is told. Throws a CommandError where ldd fails, and what esbuild throws.
 */
export async function writeProgramLayer(companion: Companion, root: string, options: ProgramLayerOptions): Promise<void> {
  const { below, onStep, signal } = options;
  const imported = await bundleAll(companion, join(root, "app"));
  const native = findNativeFiles(imported, companion.main, onStep);
  const objects = native.filter(({ to }) => to.endsWith(".node")).map(({ from }) => from);
  const libraries = [
    ...(await findProgramFiles(
      companion.programs.filter((path) => existsSync(path)),
      signal,
    )),
    ...(await findLibraries(objects, signal)),
  ];
  const isBelow = new Set(below.map(({ to }) => to));
  await copyFiles([...native, ...libraries.filter(({ to }) => !isBelow.has(to))], root);
  await mkdir(join(root, "usr/bin"), { recursive: true });
  await symlink(`/app/${companion.name}.mjs`, join(root, "usr/bin", companion.name)); // `exec: [ambassador, wait]` in a probe
}

/** Gives the packages that lie beside the bundles: those that one of them imports. */
async function bundleAll({ name, main, threads }: Companion, folder: string): Promise<string[]> {
  const program = join(folder, `${name}.mjs`);
  const bundles = [await bundle(main, program, nativeNames)];
  await chmod(program, 0o755);
  for (const thread of threads) {
    const file = join(folder, `${basename(thread, ".ts")}.mjs`);
    bundles.push(await bundle(thread, file, nativeNames));
    await chmod(file, 0o644);
  }
  return nativeNames.filter((native) => bundles.some(({ imports }) => imports.includes(native)));
}

function findNativeFiles(names: readonly string[], importer: string, onStep: (message: string) => void): ImageFile[] {
  return names.flatMap((name) => {
    const found = findNativePackage(name, importer);
    if (found.kind === "found") return found.files;
    onStep(`Leaving ${name} out: ${found.lacks} is not installed`);
    return [];
  });
}
