import { existsSync } from "node:fs";
import { abortAfter, type Logger, startInterval, type Timer } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import type { AddressBook, Connection } from "./address-book.ts";
import { hasDevice, removeBridge } from "./links/bridge.ts";
import { formatAddress, formatCidr } from "./cidr.ts";
import { DockerPassage } from "./docker-passage.ts";
import { linkPod, rejoinBridge, unlinkPod } from "./links/link.ts";
import { LinkTender } from "./links/link-tender.ts";
import { withMachineLock } from "./machine-lock.ts";
import { deviceName, type NetworkNames } from "./names.ts";
import type { PodAddress, PodNetwork, PortMapping } from "./network.ts";
import { NetworkNamespace } from "./links/network-namespace.ts";
import { PortPublisher } from "./port-publisher.ts";
import { rulesGeneration } from "./rules/rules-generation.ts";
import { SourceGuard } from "./rules/source-guard.ts";
import { Turns } from "./turns.ts";

export interface BridgeNetworkParts {
  readonly book: AddressBook;
  readonly names: NetworkNames;
  readonly engineId: string;
  readonly lockPath: string;
  readonly mtu: number;
  /** How soon it is noticed that others damaged the network: Docker's start makes its chains anew, `systemctl restart nftables` removes all. */
  readonly tendEveryMs: number;
  readonly log: Logger;
}

const CLOSE_TIMEOUT_MS = 10_000;

/**
 * The pod network on a bridge. A pod is connected when its reservation says by which namespace and the device of that name is
 * there; anything else is nothing, or half-made, and made anew. What is done for one pod is done one after the other.
 */
export class BridgeNetwork implements PodNetwork {
  readonly hostIP: string;
  readonly podCIDR: string;
  readonly #parts: BridgeNetworkParts;
  readonly #home = NetworkNamespace.own();
  readonly #ports: PortPublisher;
  readonly #sources: SourceGuard;
  readonly #links: LinkTender;
  readonly #turns = new Turns<string>();
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
    this.#sources = new SourceGuard({ names, log });
    this.#docker = new DockerPassage({ names, log });
    this.#links = new LinkTender({
      names,
      cidr: book.cidr,
      devices: () => new Map(this.#connections().map(([podUid, { device }]) => [podUid, device])),
      rejoin: (podUid) => this.#turns.take(podUid, () => this.#rejoin(podUid)),
      relink: (podUid) => this.#turns.take(podUid, () => this.#relink(podUid)),
      log,
    });
    this.#timer = startInterval(() => this.#startTending(), parts.tendEveryMs).unref();
  }

  /** Makes the tables with everything that pods have, and the way through other firewalls; mends what was damaged while no engine ran. */
  async restore(): Promise<void> {
    for (const [podUid, { ip, connection }] of this.#parts.book.entries()) this.#ports.claim(podUid, ip, connection?.ports ?? []);
    await Promise.all([this.#ports.restore(), this.#sources.restore(this.#connections()), this.#docker.ensure()]);
    this.#startTending();
    await this.#tending;
  }

  async reserve(podUid: string, signal: AbortSignal): Promise<PodAddress> {
    signal.throwIfAborted();
    return this.#reserve(podUid);
  }

  #reserve(podUid: string): PodAddress {
    const { book } = this.#parts;
    return { ip: book.reserve(podUid).ip, prefixLength: book.cidr.prefixLength, gateway: this.hostIP };
  }

  async attach(podUid: string, netnsPath: string, ports: readonly PortMapping[], signal: AbortSignal): Promise<PodAddress> {
    signal.throwIfAborted();
    return this.#turns.take(podUid, () => this.#attach(podUid, netnsPath, ports, signal));
  }

  async #attach(podUid: string, netnsPath: string, ports: readonly PortMapping[], signal: AbortSignal): Promise<PodAddress> {
    const { book, engineId } = this.#parts;
    const address = this.#reserve(podUid);
    using pod = openNamespace(netnsPath);
    const device = deviceName(engineId, podUid);
    if (book.get(podUid)?.connection?.namespace === pod.identity && hasDevice(device)) return address;
    await this.#disconnect(podUid);

    this.#ports.claim(podUid, address.ip, ports);
    // All to their end, also where one fails: only then can what they made be removed.
    const results = await Promise.allSettled([
      this.#link(device, address, pod),
      this.#sources.admit(podUid, { device, ip: address.ip }),
      this.#ports.publish(podUid, signal),
    ]);
    const failed = results.find((result) => result.status === "rejected");
    if (failed === undefined) {
      book.setConnection(podUid, { namespace: pod.identity, netnsPath, ports });
      return address;
    }
    await this.#undo(podUid);
    throw failed.reason;
  }

  async detach(podUid: string, signal: AbortSignal): Promise<void> {
    await this.#turns.take(podUid, async () => {
      signal.throwIfAborted();
      if (this.#parts.book.get(podUid) === undefined) return;
      await this.#disconnect(podUid);
      this.#parts.book.release(podUid);
    });
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
        await Promise.all([this.#ports.table.remove(), this.#sources.table.remove()]);
        await removeBridge(names);
      });
    } finally {
      this.#links[Symbol.dispose]();
      this.#home[Symbol.dispose]();
    }
  }

  /** Who is connected, by which device. */
  #connections(): [podUid: string, { device: string; ip: string }][] {
    const { book, engineId } = this.#parts;
    return book
      .entries()
      .flatMap(([podUid, { ip, connection }]) =>
        connection === undefined ? [] : [[podUid, { device: deviceName(engineId, podUid), ip }]],
      );
  }

  async #link(device: string, address: PodAddress, pod: NetworkNamespace): Promise<void> {
    const { names, mtu } = this.#parts;
    await linkPod({ bridge: names.bridge, device, address, mtu, home: this.#home, pod });
  }

  async #rejoin(podUid: string): Promise<boolean> {
    const { book, engineId, names } = this.#parts;
    const device = deviceName(engineId, podUid);
    if (book.get(podUid)?.connection === undefined || !hasDevice(device)) return false;
    await rejoinBridge(names.bridge, device);
    return true;
  }

  /** Nothing where the pod was disconnected meanwhile, or its sandbox has gone. */
  async #relink(podUid: string): Promise<boolean> {
    const { book, engineId } = this.#parts;
    const connection = book.get(podUid)?.connection;
    if (connection?.netnsPath === undefined || !canReconnect(connection)) return false;
    using pod = NetworkNamespace.open(connection.netnsPath);
    await this.#link(deviceName(engineId, podUid), this.#reserve(podUid), pod);
    return true;
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
    // At once, and both to their end: in each the kernel waits for packets that are under way.
    const results = await Promise.allSettled([hasDevice(device) ? unlinkPod(device) : undefined, this.#sources.dismiss(podUid)]);
    for (const result of results) if (result.status === "rejected") throw result.reason;
    if (book.get(podUid)?.connection !== undefined) book.setConnection(podUid, undefined);
  }

  #startTending(): void {
    if (this.#tending !== undefined || this.#closed) return;
    this.#tending = this.#tend()
      .catch((cause: unknown) => this.#parts.log.warn("cannot look after the network", { cause }))
      .finally(() => (this.#tending = undefined));
  }

  async #tend(): Promise<void> {
    const results = await Promise.allSettled([this.#links.tend(), this.#tendRules()]);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  /** Starts no program while nobody has changed a rule. The rules of iptables-legacy are in no generation. */
  async #tendRules(): Promise<void> {
    const generation = await rulesGeneration();
    const isChanged = generation === undefined || generation !== this.#tendedGeneration;
    await Promise.all([
      ...(isChanged ? [this.#ports.table.ensure(), this.#sources.ensure()] : []),
      this.#docker.ensure(isChanged ? "all" : "legacy"),
    ]);
    this.#tendedGeneration = generation; // as it was before: what changed meanwhile is looked at the next time
  }
}

/** Whether the namespace that is connected is there, to be connected again. */
export function canReconnect({ netnsPath, namespace }: Connection): boolean {
  if (netnsPath === undefined || !existsSync(netnsPath)) return false;
  using pod = NetworkNamespace.open(netnsPath);
  return pod.identity === namespace;
}

function openNamespace(path: string): NetworkNamespace {
  if (existsSync(path)) return NetworkNamespace.open(path);
  throw new EngineError("NETWORK_FAILED", `Cannot connect a pod: its network namespace ${path} is not there`);
}
