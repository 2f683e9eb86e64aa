import { chmod, mkdir, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { bundle } from "./bundle.ts";
import type { Companion } from "./companions.ts";
import { copyFiles, type ImageFile } from "./image-file.ts";
import { findNativePackage } from "./native-packages.ts";
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
  await bundleAll(companion, join(root, "app"));
  const native = findNativeFiles(companion, onStep);
  const objects = native.filter(({ to }) => to.endsWith(".node")).map(({ from }) => from);
  const libraries = [...(await findProgramFiles(companion.programs, signal)), ...(await findLibraries(objects, signal))];
  const isBelow = new Set(below.map(({ to }) => to));
  await copyFiles([...native, ...libraries.filter(({ to }) => !isBelow.has(to))], root);
  await mkdir(join(root, "usr/bin"), { recursive: true });
  await symlink(`/app/${companion.name}.mjs`, join(root, "usr/bin", companion.name)); // `exec: [ambassador, wait]` in a probe
}

async function bundleAll({ name, main, threads, nativePackages }: Companion, folder: string): Promise<void> {
  const program = join(folder, `${name}.mjs`);
  await bundle(main, program, nativePackages);
  await chmod(program, 0o755);
  for (const thread of threads) {
    const file = join(folder, `${basename(thread, ".ts")}.mjs`);
    await bundle(thread, file, nativePackages);
    await chmod(file, 0o644);
  }
}

function findNativeFiles({ main, nativePackages }: Companion, onStep: (message: string) => void): ImageFile[] {
  return nativePackages.flatMap((name) => {
    const found = findNativePackage(name, main);
    if (found.kind === "found") return found.files;
    onStep(`Leaving ${name} out: ${found.lacks} is not installed`);
    return [];
  });
}
