import { parseArgs } from "node:util";
import { ambassadorKernel } from "./ambassador-kernel.ts";
import { ambassadorPostgres } from "./ambassador-postgres.ts";
import { ambassadorTcp } from "./ambassador-tcp.ts";

/** The ambassador against the programs that one would take in its place. `--only kernel` is that part alone. */
export async function ambassador(args: readonly string[], signal: AbortSignal): Promise<void> {
  const options = { only: { type: "string", default: "" }, rounds: { type: "string", default: "5" } } as const;
  const { values } = parseArgs({ args: [...args], options, strict: false });
  if (values.only === "kernel") return await ambassadorKernel(["--rounds", String(values.rounds)], signal);
  await ambassadorTcp(args, signal);
  await ambassadorKernel(args, signal);
  await ambassadorPostgres(args, signal);
}
