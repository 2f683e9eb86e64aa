import type { Logger } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import { parseAddress } from "./cidr.ts";
import { forgetFlows } from "./connection-tracking.ts";
import { findConflict, portsOfOtherEngines, portsOfPrograms, type TakenPort } from "./host-ports.ts";
import { withMachineLock } from "./machine-lock.ts";
import type { NetworkNames } from "./names.ts";
import type { PortMapping } from "./network.ts";
import { nft, NftTable } from "./rules/nft-table.ts";
import { isAny, publishedElements, publishRules, type PublishedPort, tableRules, unpublishRules } from "./rules/rules.ts";

export interface PortPublisherOptions {
  readonly names: NetworkNames;
  readonly podCIDR: string;
  /** Engines of one machine take turns at looking which ports are free and taking some. */
  readonly lockPath: string;
  readonly log: Logger;
}

/** Host ports that lead to pods: what this object knows is what its table is to hold, so that it can be made anew at any time. */
export class PortPublisher {
  readonly table: NftTable;
  readonly #options: PortPublisherOptions;
  readonly #claims = new Map<string, readonly PublishedPort[]>();
  /** Of the claims, what is to be in the table. Changed in the table's turns. */
  readonly #published = new Map<string, readonly PublishedPort[]>();

  constructor(options: PortPublisherOptions) {
    const { names, podCIDR, log } = options;
    this.#options = options;
    const published = (): PublishedPort[] => [...this.#published.values()].flat();
    this.table = new NftTable({
      family: "ip",
      name: names.table,
      render: () => tableRules(names, podCIDR, published()),
      elements: () => publishedElements(published()),
      log,
    });
  }

  /**
   * Takes ports for a pod among the engine's own, at once, so that no two pods get the same.
   * Throws HOST_PORT_BUSY, and NETWORK_FAILED for a hostIP that is not IPv4.
   */
  claim(podUid: string, podIP: string, ports: readonly PortMapping[]): void {
    if (ports.length === 0) return;
    const taken = [...this.#claims].flatMap(([uid, published]) =>
      uid === podUid ? [] : published.map(({ mapping }): TakenPort => takenBy(`pod ${uid}`, mapping)),
    );
    for (const mapping of ports) {
      if (!isAny(mapping) && parseAddress(mapping.hostIP) === undefined) {
        const what = `host port ${mapping.hostPort} on ${mapping.hostIP}`;
        throw new EngineError("NETWORK_FAILED", `Cannot publish ${what}: pods have IPv4 addresses only; use an IPv4 hostIP or none`);
      }
      refuseConflict(mapping, taken);
      taken.push(takenBy("another container of the same pod", mapping));
    }
    this.#claims.set(
      podUid,
      ports.map((mapping) => ({ mapping, podIP })),
    );
  }

  /** Publishes what the pod has claimed. Throws HOST_PORT_BUSY where a program of the machine or another engine has a port. */
  async publish(podUid: string, signal: AbortSignal): Promise<void> {
    const { names, lockPath } = this.#options;
    const published = this.#claims.get(podUid) ?? [];
    if (published.length === 0) return;
    const mappings = published.map(({ mapping }) => mapping);
    await withMachineLock(lockPath, signal, async () => {
      const taken = [...(await portsOfPrograms(mappings)), ...(await portsOfOtherEngines(names.bridge, names.table))];
      for (const mapping of mappings) refuseConflict(mapping, taken);
      await this.table.inTurn(async () => {
        this.#published.set(podUid, published);
        try {
          await nft("Cannot publish ports", publishRules(names.table, published));
        } catch {
          await this.table.replace(); // where the table is gone, which others may bring about; else this says what is wrong
        }
      });
    });
    await this.#forgetFlows(mappings);
  }

  /** Takes a pod's ports back. Safe to repeat. */
  async withdraw(podUid: string): Promise<void> {
    const published = this.#claims.get(podUid);
    if (published === undefined) return;
    await this.table.inTurn(async () => {
      try {
        await nft("Cannot take published ports back", unpublishRules(this.#options.names.table, published));
      } catch (cause) {
        if (await this.table.isThere()) throw cause;
      }
      this.#published.delete(podUid);
    });
    this.#claims.delete(podUid);
    await this.#forgetFlows(published.map(({ mapping }) => mapping));
  }

  /** A kernel without the netlink side of connection tracking serves all but a sender that never pauses. */
  async #forgetFlows(ports: readonly PortMapping[]): Promise<void> {
    try {
      await forgetFlows(ports);
    } catch (cause) {
      this.#options.log.warn("cannot end old UDP flows to published ports; they may go astray for half a minute", { cause });
    }
  }

  /** Makes the table anew, in one transaction, with all that is claimed. */
  async restore(): Promise<void> {
    await this.table.inTurn(async () => {
      for (const [podUid, ports] of this.#claims) this.#published.set(podUid, ports);
      await this.table.replace();
    });
  }
}

function takenBy(holder: string, mapping: PortMapping): TakenPort {
  return { protocol: mapping.protocol, port: mapping.hostPort, address: isAny(mapping) ? undefined : mapping.hostIP, holder };
}

function refuseConflict(mapping: PortMapping, taken: readonly TakenPort[]): void {
  const conflict = findConflict(mapping, taken);
  if (conflict === undefined) return;
  const where = isAny(mapping) ? "" : ` on ${mapping.hostIP}`;
  throw new EngineError("HOST_PORT_BUSY", `Host port ${mapping.hostPort}/${mapping.protocol}${where} is taken by ${conflict.holder}`);
}
