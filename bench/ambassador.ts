import { ambassadorPostgres } from "./ambassador-postgres.ts";
import { ambassadorTcp } from "./ambassador-tcp.ts";

/** The ambassador against the programs that one would take in its place. */
export async function ambassador(args: readonly string[], signal: AbortSignal): Promise<void> {
  await ambassadorTcp(args, signal);
  await ambassadorPostgres(args, signal);
}
