import { runIptables, iptablesPrograms } from "./iptables.ts";
import { runProgram } from "./ip-command.ts";

/** A firewall of somebody else's that drops what pods send through this machine, and that the engine cannot pass by itself. */
export interface ForeignFirewall {
  readonly name: string;
  /** What was seen. */
  readonly finding: string;
  /** What to run. */
  readonly advice: string;
}

/** Names the firewalls that stand in the way of pods behind `bridge`. Docker's is not among them: the engine passes it by DOCKER-USER. */
export async function foreignFirewalls(bridge: string): Promise<ForeignFirewall[]> {
  const json = await runProgram("nft", ["-j", "list", "chains"], { doing: "Cannot look for firewalls" });
  const found = judgeChains(parseChains(json), bridge);
  for (const program of iptablesPrograms().filter((name) => name === "iptables-legacy")) {
    const rules = await runIptables(program, ["-S"]);
    found.push(...judgeLegacy(rules ?? "", bridge));
  }
  return found;
}

/** A chain of nftables; iptables-nft's are such, too. */
export interface Chain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

/** The chains in the output of `nft -j list chains`. */
export function parseChains(json: string): Chain[] {
  const listing = JSON.parse(json) as { nftables?: { chain?: Chain }[] }; // nft's own schema (libnftables-json(5))
  return (listing.nftables ?? []).flatMap(({ chain }) => chain ?? []);
}

/** What stands in the way, from the chains alone. A drop in any base chain is final, whatever another accepts. */
export function judgeChains(chains: readonly Chain[], bridge: string): ForeignFirewall[] {
  const found: ForeignFirewall[] = [];
  if (chains.some((chain) => chain.table === "firewalld" && chain.name === "filter_FORWARD")) found.push(firewalld(bridge));
  for (const { family, table, name, hook, policy } of chains) {
    if (hook !== "forward" || policy !== "drop" || !["ip", "inet"].includes(family) || table === "firewalld") continue;
    const siblings = chains.filter((chain) => chain.family === family && chain.table === table).map((chain) => chain.name);
    if (siblings.includes("DOCKER-USER")) continue;
    const where = `chain ${name} of the nftables table ${family} ${table} drops forwarded packets by policy`;
    const isIptables = family === "ip" && table === "filter" && name === "FORWARD";
    if (siblings.some((sibling) => sibling.startsWith("ufw-"))) found.push(ufw(bridge, where));
    else if (isIptables) found.push(iptables(bridge, "iptables", where));
    else found.push(nftables(bridge, `${family} ${table} ${name}`, where));
  }
  return found;
}

/** The same, from the rules of iptables-legacy (`iptables-legacy -S`). */
export function judgeLegacy(rules: string, bridge: string): ForeignFirewall[] {
  const lines = rules.split("\n");
  if (!lines.includes("-P FORWARD DROP") || lines.includes("-N DOCKER-USER")) return [];
  const where = "chain FORWARD of iptables-legacy drops forwarded packets by policy";
  if (lines.some((line) => line.startsWith("-N ufw-"))) return [ufw(bridge, where)];
  return [iptables(bridge, "iptables-legacy", where)];
}

function firewalld(bridge: string): ForeignFirewall {
  return {
    name: "firewalld",
    finding: "firewalld rejects forwarded packets of devices that are in none of its zones",
    advice: `firewall-cmd --permanent --zone=trusted --add-interface=${bridge} && firewall-cmd --reload`,
  };
}

function ufw(bridge: string, finding: string): ForeignFirewall {
  return { name: "ufw", finding, advice: `ufw route allow in on ${bridge} && ufw route allow out on ${bridge}` };
}

function iptables(bridge: string, program: string, finding: string): ForeignFirewall {
  return { name: program, finding, advice: `${program} -I FORWARD -i ${bridge} -j ACCEPT && ${program} -I FORWARD -o ${bridge} -j ACCEPT` };
}

function nftables(bridge: string, chain: string, finding: string): ForeignFirewall {
  return {
    name: "nftables",
    finding,
    advice: `nft insert rule ${chain} iifname ${bridge} accept && nft insert rule ${chain} oifname ${bridge} accept`,
  };
}
