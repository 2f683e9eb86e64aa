import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);
const folder = dirname(require.resolve("mysql2"));

/** A file of mysql2's that it does not export: an independent view of the protocol. The caller says what it is. */
export function mysql2Part(path: string): unknown {
  return require(join(folder, path));
}
