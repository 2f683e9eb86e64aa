import { dirname } from "node:path";
import { build } from "esbuild";

const root = dirname(dirname(import.meta.dirname));

/** What a bundle is made of. */
export interface Bundle {
  /** The files in it, by their paths below the repository's root. */
  readonly files: readonly string[];
  /** The packages in `external` that it imports: they have to lie beside it. */
  readonly imports: readonly string[];
}

/**
 * Bundles a program with everything it imports, but for the packages in `external`, into one ES module that Node.js 24 runs by itself.
 * Throws what esbuild found wrong.
 */
export async function bundle(main: string, outfile: string, external: readonly string[]): Promise<Bundle> {
  const { metafile } = await build({
    entryPoints: [main],
    outfile,
    absWorkingDir: root, // whose comments say where code came from: from wherever it is made, it is the same
    bundle: true,
    external: [...external],
    platform: "node",
    target: "node24",
    format: "esm",
    // CommonJS packages require() Node's own modules.
    banner: {
      js: '#!/usr/bin/node\nimport { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);',
    },
    legalComments: "eof",
    logLevel: "silent", // what is wrong is thrown
    metafile: true,
  });
  const imported = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path));
  const isImported = (name: string): boolean => imported.some((path) => path === name || path.startsWith(`${name}/`));
  return { files: Object.keys(metafile.inputs), imports: external.filter(isImported) };
}
