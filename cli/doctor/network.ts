import { readFile } from "node:fs/promises";
import { CommandError, run } from "@peapod/kit";
import { type Check, type Finding, lacks, ok } from "./check.ts";

/** A chain as `nft -j list chains` shows it. */
export interface Chain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

/** Forwarding, and other firewalls that drop what pods send. */
export const checkNetwork: Check = async ({ isRoot, signal }) => {
  const forwarding = (await readFile("/proc/sys/net/ipv4/ip_forward", "utf8")).trim();
  return [
    forwarding === "1" ? ok("IP forwarding", "on") : ok("IP forwarding", "off; the engine turns it on when it starts"),
    ...(isRoot ? await checkFirewalls(signal) : []),
  ];
};

async function checkFirewalls(signal: AbortSignal): Promise<Finding[]> {
  const name = "firewalls";
  try {
    const { stdout } = await run("nft", ["-j", "list", "chains"], { signal, timeoutMs: 10_000 });
    const listing = JSON.parse(stdout) as { nftables?: { chain?: Chain }[] }; // libnftables-json(5)
    const found = judgeFirewalls((listing.nftables ?? []).flatMap(({ chain }) => chain ?? []));
    return found.length > 0 ? found : [ok(name, "none that drops forwarded packets, or one that the engine passes (Docker's)")];
  } catch (cause) {
    signal.throwIfAborted();
    if (!(cause instanceof CommandError)) throw cause;
    return [lacks("warn", name, `cannot be listed: ${cause.message}`, "apt-get install nftables")];
  }
}

/** The firewalls that drop forwarded packets and that the engine cannot pass by itself. Docker's it passes through DOCKER-USER. */
export function judgeFirewalls(chains: readonly Chain[]): Finding[] {
  const dropping = chains.filter(({ hook, policy, family }) => hook === "forward" && policy === "drop" && ["ip", "inet"].includes(family));
  const findings = dropping
    .filter(
      ({ family, table }) => !chains.some((chain) => chain.family === family && chain.table === table && chain.name === "DOCKER-USER"),
    )
    .filter(({ table }) => table !== "firewalld")
    .map(({ family, table, name }) => {
      const isUfw = chains.some((chain) => chain.table === table && chain.name.startsWith("ufw-"));
      const mend = isUfw
        ? "ufw default allow routed"
        : `nft insert rule ${family} ${table} ${name} iifname "pp-*" accept && nft insert rule ${family} ${table} ${name} oifname "pp-*" accept`;
      const what = `chain ${name} of table ${family} ${table} drops forwarded packets: pods reach nothing outside this machine`;
      return lacks("warn", isUfw ? "ufw" : "firewall", what, mend);
    });
  if (chains.some(({ table, name }) => table === "firewalld" && name === "filter_FORWARD")) {
    const what = "firewalld rejects forwarded packets of devices in none of its zones";
    findings.push(
      lacks("warn", "firewalld", what, "firewall-cmd --permanent --zone=trusted --add-interface=pp-+ && firewall-cmd --reload"),
    );
  }
  return findings;
}
