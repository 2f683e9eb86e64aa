import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "@peapod/kit";
import { hasCode } from "../errors.ts";
import { runProgram } from "./ip-command.ts";

const directories = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];

/**
 * The iptables programs whose rules count here: the one on nftables, and the legacy one where the kernel has its filter table,
 * which merely asking it would otherwise bring about.
 */
export function iptablesPrograms(): string[] {
  const isThere = (name: string): boolean => directories.some((directory) => existsSync(join(directory, name)));
  const modern = isThere("iptables-nft") ? "iptables-nft" : isThere("iptables") ? "iptables" : undefined;
  return [...(modern === undefined ? [] : [modern]), ...(hasLegacyFilter() && isThere("iptables-legacy") ? ["iptables-legacy"] : [])];
}

/** Runs iptables and gives its output; undefined where it fails, as it does for a chain that is not there. */
export async function runIptables(program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    return await runProgram(program, ["-w", "5", ...args], { doing: "Cannot change another firewall's rules" });
  } catch (cause) {
    if (hasCode(cause, "NETWORK_FAILED")) return undefined;
    throw cause;
  }
}

function hasLegacyFilter(): boolean {
  try {
    return readFileSync("/proc/thread-self/net/ip_tables_names", "utf8").split("\n").includes("filter");
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return false;
    throw cause;
  }
}
