import { build } from "esbuild";

/**
 * Bundles a program with everything it imports, but for the packages in `external`, into one ES module that Node.js 24 runs by itself.
 * Throws what esbuild found wrong.
 */
export async function bundle(main: string, outfile: string, external: readonly string[]): Promise<void> {
  await build({
    entryPoints: [main],
    outfile,
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
  });
}
