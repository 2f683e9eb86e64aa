import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { ImageFile } from "./image-file.ts";

/** A package with the files that a program needs of it at run time. */
interface PackageFiles {
  readonly name: string;
  readonly files: readonly string[];
}

/** What its `exports` name, and what these load. */
const koffiModules = ["index", "indirect", "src/koffi/index", "src/koffi/indirect", "src/koffi/src/static"];

/**
 * The packages that are not bundled, each with the packages that hold its native files. A shared object is loaded from a file of its own,
 * which koffi looks for by its place beside koffi's modules: in a bundle it would find nothing. Its native files for musl stay away,
 * since the image's Node.js is made for glibc; its licence is that of both packages.
 */
const nativePackages: Readonly<Record<string, readonly PackageFiles[]>> = {
  koffi: [
    { name: "koffi", files: ["package.json", "LICENSE.txt", ...koffiModules.flatMap((module) => [`${module}.js`, `${module}.cjs`])] },
    { name: `@koromix/koffi-linux-${process.arch}`, files: ["package.json", "index.js", `linux_${process.arch}/koffi.node`] },
  ],
};

/** The packages that are not bundled, whatever imports them. */
export const nativeNames: readonly string[] = Object.keys(nativePackages).toSorted();

export type NativePackage =
  | { readonly kind: "found"; readonly files: readonly ImageFile[] }
  /** Not installed on this machine, or not made for its architecture: `lacks` is the package that is not there. */
  | { readonly kind: "missing"; readonly lacks: string };

/** What the program at `importer` imports by the package's name; its places are below `app/node_modules`. */
export function findNativePackage(name: string, importer: string): NativePackage {
  const parts = nativePackages[name] ?? [];
  const folders = createRequire(importer).resolve.paths(name) ?? [];
  const folder = folders.find((path) => existsSync(join(path, name))) ?? "";
  const files: ImageFile[] = [];
  for (const part of parts) {
    const ofPart = part.files.map(
      (file) => ({ from: join(folder, part.name, file), to: join("app/node_modules", part.name, file), mode: 0o644 }) as const,
    );
    if (folder === "" || !ofPart.every(({ from }) => existsSync(from))) return { kind: "missing", lacks: part.name };
    files.push(...ofPart);
  }
  return { kind: "found", files };
}
