import { readFile } from "node:fs/promises";
import type { Invocation } from "../command.ts";
import { printValue } from "../print-value.ts";

/** The version of the Kubernetes API that the types and the server follow. */
export const KUBERNETES_VERSION = "v1.36";

/** `peapod version`: this program's, and the running engine's where it may be seen. */
export async function version(invocation: Invocation): Promise<number> {
  const { config, terminal, flags } = invocation;
  const own = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  const engine = await readFile(`${config.runDir}/engine.json`, "utf8").then(
    (content) => (JSON.parse(content) as { version: string }).version,
    () => undefined, // none runs, or it is not ours to see
  );
  const facts = {
    version: own.version,
    kubernetes: KUBERNETES_VERSION,
    node: process.version,
    ...(engine === undefined ? {} : { engine }),
  };
  if (flags.string("output") !== undefined) return await printValue(invocation, facts);
  terminal.line(`peapod ${facts.version} (Kubernetes ${facts.kubernetes}, Node.js ${facts.node})`);
  if (engine !== undefined && engine !== facts.version) terminal.line(`engine ${engine} is running: restart it to use this version`);
  return 0;
}
