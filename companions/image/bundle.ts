import { build } from "esbuild";

/** Bundles a program with everything it imports into one ES module that Node.js 24 runs by itself. Throws what esbuild found wrong. */
export async function bundle(main: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [main],
    outfile,
    bundle: true,
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
