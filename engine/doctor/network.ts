import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readTextIfPresent } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import { foreignFirewalls } from "../network/foreign-firewalls.ts";
import { networkNames } from "../network/names.ts";
import { type Check, type CheckFacts, type Finding, lacks, ok } from "./check.ts";

/** Forwarding, and other firewalls that drop what pods send. */
export const checkNetwork: Check = async (facts) => {
  const forwarding = (await readFile("/proc/sys/net/ipv4/ip_forward", "utf8")).trim();
  return [
    forwarding === "1" ? ok("IP forwarding", "on") : ok("IP forwarding", "off; the engine turns it on when it starts"),
    ...(facts.isRoot ? await checkFirewalls(facts) : []),
  ];
};

async function checkFirewalls({ stateDir }: CheckFacts): Promise<Finding[]> {
  // Before its first start an engine has no id, and so no bridge: the pattern fits every engine's.
  const engineId = (await readTextIfPresent(join(stateDir, "engine-id")))?.trim();
  const bridge = engineId === undefined ? "pp-*" : networkNames(engineId).bridge;
  try {
    const found = await foreignFirewalls(bridge);
    if (found.length === 0) return [ok("firewalls", "none that drops forwarded packets, or one that the engine passes (Docker's)")];
    return found.map(({ name, finding, advice }) => lacks("warn", name, `${finding}: pods reach nothing outside this machine`, advice));
  } catch (cause) {
    if (!(cause instanceof EngineError)) throw cause;
    return [lacks("warn", "firewalls", `cannot be listed: ${cause.message}`, "apt-get install nftables")];
  }
}
