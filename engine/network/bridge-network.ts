import { existsSync } from "node:fs";
import { abortAfter, type Logger, startInterval, type Timer } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import type { AddressBook } from "./address-book.ts";
import { hasDevice, removeBridge } from "./bridge.ts";
import { formatAddress, formatCidr } from "./cidr.ts";
import { DockerPassage } from "./docker-passage.ts";
import { linkPod, unlinkPod } from "./link.ts";
import { withMachineLock } from "./machine-lock.ts";
import { deviceName, type NetworkNames } from "./names.ts";
import type { PodAddress, PodNetwork, PortMapping } from "./network.ts";
import { NetworkNamespace } from "./network-namespace.ts";
import { PortPublisher } from "./port-publisher.ts";
import { rulesGeneration } from "./rules-generation.ts";

export interface BridgeNetworkParts {
  readonly book: AddressBook;
  readonly names: NetworkNames;
  readonly engineId: string;
  readonly lockPath: string;
  readonly mtu: number;
  /** How soon it is noticed that others removed our rules: Docker's start makes its chains anew. */
  readonly tendEveryMs: number;
  readonly log: Logger;
}

const CLOSE_TIMEOUT_MS = 10_000;

/**
 * The pod network on a bridge. A pod is connected when its reservation says by which namespace and the device of that name is
 * there; anything else is nothing, or half-made, and made anew. Calls for one pod come one after the other.
 */
export class BridgeNetwork implements PodNetwork {
  readonly hostIP: string;
  readonly podCIDR: string;
  readonly #parts: BridgeNetworkParts;
  readonly #home = NetworkNamespace.own();
  readonly #ports: PortPublisher;
  readonly #docker: DockerPassage;
  readonly #timer: Timer;
  #tending: Promise<void> | undefined;
  /** The rules that were last found in order. */
  #tendedGeneration: number | undefined;
  #closed = false;

  constructor(parts: BridgeNetworkParts) {
    const { book, names, lockPath, log } = parts;
    this.#parts = parts;
    this.hostIP = formatAddress(book.cidr.base + 1);
    this.podCIDR = formatCidr(book.cidr);
    this.#ports = new PortPublisher({ names, podCIDR: this.podCIDR, lockPath, log });
    this.#docker = new DockerPassage({ names, log });
    this.#timer = startInterval(() => this.#startTending(), parts.tendEveryMs).unref();
  }

  /** Makes the table with everything that pods have published, and the way through other firewalls. */
  async restore(): Promise<void> {
    for (const [podUid, { ip, connection }] of this.#parts.book.entries()) this.#ports.claim(podUid, ip, connection?.ports ?? []);
    await Promise.all([this.#ports.restore(), this.#docker.ensure()]);
  }

  async reserve(podUid: string): Promise<PodAddress> {
    const { book } = this.#parts;
    return { ip: book.reserve(podUid).ip, prefixLength: book.cidr.prefixLength, gateway: this.hostIP };
  }

  async attach(podUid: string, netnsPath: string, ports: readonly PortMapping[], signal: AbortSignal): Promise<PodAddress> {
    signal.throwIfAborted();
    const { book, engineId, names, mtu } = this.#parts;
    const address = await this.reserve(podUid);
    using pod = openNamespace(netnsPath);
    const device = deviceName(engineId, podUid);
    if (book.get(podUid)?.connection?.namespace === pod.identity && hasDevice(device)) return address;
    await this.#disconnect(podUid);

    this.#ports.claim(podUid, address.ip, ports);
    const link = linkPod({ bridge: names.bridge, device, address, mtu, home: this.#home, pod });
    // Both to their end, also where one fails: only then can what they made be removed.
    const results = await Promise.allSettled([link, this.#ports.publish(podUid, signal)]);
    const failed = results.find((result) => result.status === "rejected");
    if (failed === undefined) {
      book.setConnection(podUid, { namespace: pod.identity, ports });
      return address;
    }
    await this.#undo(podUid);
    throw failed.reason;
  }

  async detach(podUid: string): Promise<void> {
    if (this.#parts.book.get(podUid) === undefined) return;
    await this.#disconnect(podUid);
    this.#parts.book.release(podUid);
  }

  async listPods(): Promise<string[]> {
    return this.#parts.book.pods();
  }

  /** Removes bridge, table and marks where no pod holds an address; else leaves the pods connected. Safe to repeat. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer[Symbol.dispose]();
    await this.#tending;
    const { book, names, lockPath } = this.#parts;
    try {
      if (book.pods().length > 0) return;
      await withMachineLock(lockPath, abortAfter(CLOSE_TIMEOUT_MS), async () => {
        await this.#docker.remove();
        await this.#ports.removeTable();
        await removeBridge(names);
      });
    } finally {
      this.#home[Symbol.dispose]();
    }
  }

  async #undo(podUid: string): Promise<void> {
    try {
      await this.#disconnect(podUid);
    } catch (cause) {
      this.#parts.log.warn("cannot undo a failed connection; detach tries again", { podUid, cause });
    }
  }

  /** Published ports go first: they must not lead to the address's next owner. */
  async #disconnect(podUid: string): Promise<void> {
    const { book, engineId } = this.#parts;
    await this.#ports.withdraw(podUid);
    const device = deviceName(engineId, podUid);
    if (hasDevice(device)) await unlinkPod(device);
    if (book.get(podUid)?.connection !== undefined) book.setConnection(podUid, undefined);
  }

  #startTending(): void {
    if (this.#tending !== undefined || this.#closed) return;
    this.#tending = this.#tend()
      .catch((cause: unknown) => this.#parts.log.warn("cannot look after the network rules", { cause }))
      .finally(() => (this.#tending = undefined));
  }

  /** Starts no program while nobody has changed a rule. The rules of iptables-legacy are in no generation. */
  async #tend(): Promise<void> {
    const generation = await rulesGeneration();
    const isChanged = generation === undefined || generation !== this.#tendedGeneration;
    await Promise.all([isChanged ? this.#ports.ensure() : undefined, this.#docker.ensure(isChanged ? "all" : "legacy")]);
    this.#tendedGeneration = generation; // as it was before: what changed meanwhile is looked at the next time
  }
}

function openNamespace(path: string): NetworkNamespace {
  if (existsSync(path)) return NetworkNamespace.open(path);
  throw new EngineError("NETWORK_FAILED", `Cannot connect a pod: its network namespace ${path} is not there`);
}
