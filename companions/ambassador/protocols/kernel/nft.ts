import { CommandError, run } from "@peapod/kit";
import { AmbassadorError } from "../../errors.ts";
import { parseTable, type TableFacts, tableName } from "./ruleset.ts";

/** Applies a script, all of it or nothing. Throws LISTEN_FAILED with what to do about it. */
export async function applyScript(script: string, signal: AbortSignal): Promise<void> {
  await nft(["-f", "-"], signal, script);
}

/** A listener's table; undefined where there is none. Throws LISTEN_FAILED. */
export async function readTable(listener: string, signal: AbortSignal): Promise<TableFacts | undefined> {
  try {
    return parseTable(await nft(["-j", "list", "table", "ip", tableName(listener)], signal));
  } catch (cause) {
    if (cause instanceof AmbassadorError && /No such file or directory/.test(cause.message)) return undefined;
    throw cause;
  }
}

async function nft(args: readonly string[], signal: AbortSignal, input?: string): Promise<string> {
  try {
    return (await run("nft", args, { signal, timeoutMs: 5_000, ...(input === undefined ? {} : { input }) })).stdout;
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause;
    throw new AmbassadorError("LISTEN_FAILED", `Cannot forward in the kernel: ${adviceFor(cause)}`, { cause });
  }
}

function adviceFor(error: CommandError): string {
  if (error.exitCode === null) return 'the program nft cannot be run: install nftables, or say "datapath: user"';
  if (/not permitted|must be root/i.test(error.stderr))
    return 'the container has no NET_ADMIN: add the capability, or say "datapath: user"';
  return error.message;
}
