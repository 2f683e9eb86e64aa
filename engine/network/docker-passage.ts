import type { Logger } from "@peapod/kit";
import { iptablesPrograms, runIptables } from "./iptables.ts";
import type { NetworkNames } from "./names.ts";

/** The chain that Docker leaves to others, and asks first. https://docs.docker.com/engine/network/firewall-iptables/ */
const CHAIN = "DOCKER-USER";

/**
 * The way past Docker, which lets nothing through the machine but its own: it sets FORWARD to DROP, and an accept in a table of
 * ours undoes no drop in its. Two rules in the chain meant for it let the pods' bridge through, marked with the engine's id.
 */
export class DockerPassage {
  readonly #names: NetworkNames;
  readonly #log: Logger;

  constructor(options: { names: NetworkNames; log: Logger }) {
    this.#names = options.names;
    this.#log = options.log;
  }

  /** Puts the rules there where Docker is and they are not. To be repeated: Docker may come, or come back, at any time. */
  async ensure(which: "all" | "legacy" = "all"): Promise<void> {
    for (const program of iptablesPrograms()) {
      if (which === "legacy" && program !== "iptables-legacy") continue;
      const present = await runIptables(program, ["-S", CHAIN]);
      if (present === undefined) continue;
      const lines = present.split("\n").filter((line) => line.includes(this.#names.mark));
      for (const direction of ["-i", "-o"]) {
        if (lines.some((line) => line.includes(` ${direction} ${this.#names.bridge} `))) continue;
        const added = await runIptables(program, ["-I", CHAIN, ...this.#rule(direction)]);
        if (added === undefined) this.#log.warn("cannot add the pods' bridge to Docker's firewall", { program, chain: CHAIN, direction });
        else this.#log.info("the pods' bridge may pass Docker's firewall", { program, chain: CHAIN, direction });
      }
    }
  }

  /** Takes the rules away. Safe to repeat. */
  async remove(): Promise<void> {
    for (const program of iptablesPrograms()) {
      const present = (await runIptables(program, ["-S", CHAIN])) ?? "";
      for (const line of present.split("\n").filter((rule) => rule.includes(this.#names.mark))) {
        const direction = line.includes(` -i ${this.#names.bridge} `) ? "-i" : "-o";
        await runIptables(program, ["-D", CHAIN, ...this.#rule(direction)]);
      }
    }
  }

  #rule(direction: string): string[] {
    return [direction, this.#names.bridge, "-m", "comment", "--comment", this.#names.mark, "-j", "ACCEPT"];
  }
}
