import { EngineError } from "../errors.ts";
import type { PodAddress, PodNetwork, PortMapping } from "./network.ts";

/** Addresses in memory. */
export class FakeNetwork implements PodNetwork {
  readonly hostIP = "10.88.0.1";
  readonly podCIDR = "10.88.0.0/24";
  readonly attached = new Map<string, { readonly netnsPath: string; readonly ports: readonly PortMapping[] }>();
  readonly #addresses = new Map<string, PodAddress>();
  readonly #failures: { readonly call: string; readonly error: Error }[] = [];

  failNext(call: "reserve" | "attach" | "detach", error: Error): void {
    this.#failures.push({ call, error });
  }

  async reserve(podUid: string): Promise<PodAddress> {
    this.#enter("reserve");
    const known = this.#addresses.get(podUid);
    if (known !== undefined) return known;
    const used = new Set([...this.#addresses.values()].map(({ ip }) => ip));
    const free = Array.from({ length: 253 }, (_, index) => `10.88.0.${index + 2}`).find((ip) => !used.has(ip));
    if (free === undefined) throw new EngineError("NO_FREE_ADDRESS", "No address is free in 10.88.0.0/24");
    const address = { ip: free, prefixLength: 24, gateway: this.hostIP };
    this.#addresses.set(podUid, address);
    return address;
  }

  async attach(podUid: string, netnsPath: string, ports: readonly PortMapping[], signal: AbortSignal): Promise<PodAddress> {
    signal.throwIfAborted();
    this.#enter("attach");
    const address = await this.reserve(podUid);
    this.attached.set(podUid, { netnsPath, ports });
    return address;
  }

  async detach(podUid: string): Promise<void> {
    this.#enter("detach");
    this.attached.delete(podUid);
    this.#addresses.delete(podUid);
  }

  async listPods(): Promise<string[]> {
    return [...this.#addresses.keys()];
  }

  #enter(call: string): void {
    const index = this.#failures.findIndex((failure) => failure.call === call);
    const [failure] = index < 0 ? [] : this.#failures.splice(index, 1);
    if (failure !== undefined) throw failure.error;
  }
}
