import { readFile } from "node:fs/promises";
import { exitCodes } from "../cli-error.ts";
import type { Invocation } from "../command.ts";
import { adminKubeconfigPath } from "../administrator.ts";
import { connectLocal } from "../connection.ts";

/** `peapod kubeconfig`: prints what kubectl needs to talk to the local engine. */
export async function kubeconfig({ config, terminal, signal }: Invocation): Promise<number> {
  (await connectLocal(config, signal))[Symbol.dispose]();
  const content = await readFile(adminKubeconfigPath(config), "utf8");
  terminal.write(content.endsWith("\n") ? content : `${content}\n`);
  return exitCodes.success;
}
