import type { PodAddress } from "../../network/network.ts";
import type { PodSandbox } from "../../runtime/runtime.ts";
import type { SandboxSeen } from "../decide/pod-seen.ts";

/** A sandbox and what was done with it. */
export interface SandboxNotes {
  readonly sandbox: PodSandbox;
  readonly isStopped: boolean;
  /** It could not be connected: as good as dead. */
  readonly isBroken: boolean;
}

/** What is remembered of a pod's sandboxes, and of the network that one of them is connected to. */
export class Sandboxes {
  readonly #notes = new Map<string, SandboxNotes>();
  #address: PodAddress | undefined;
  #connectedId: string | undefined;

  /** Oldest first. */
  get all(): readonly SandboxNotes[] {
    return [...this.#notes.values()].toSorted((left, right) => left.sandbox.attempt - right.sandbox.attempt);
  }

  /** The newest one, if it is of use. */
  get live(): PodSandbox | undefined {
    const newest = this.all.at(-1);
    return newest !== undefined && isLive(newest) ? newest.sandbox : undefined;
  }

  /** The pod's, reserved or in use. */
  get address(): PodAddress | undefined {
    return this.#address;
  }

  /** Whether the newest one is connected. */
  get isConnected(): boolean {
    return this.#connectedId !== undefined && this.#connectedId === this.all.at(-1)?.sandbox.id;
  }

  /** The facts that plan and status are made from, oldest first. */
  get seen(): readonly SandboxSeen[] {
    return this.all.map((notes) => ({
      id: notes.sandbox.id,
      attempt: notes.sandbox.attempt,
      ready: isLive(notes),
      isStopped: notes.isStopped,
    }));
  }

  /** One was made, by this engine or an earlier one. */
  made(sandbox: PodSandbox): void {
    this.#notes.set(sandbox.id, { sandbox, isStopped: false, isBroken: false });
  }

  /** The runtime shows one so now; undefined: it knows it no more. */
  looked(id: string, now: PodSandbox | undefined): void {
    this.#change(id, ({ sandbox }) => ({ sandbox: now ?? { ...sandbox, state: "notready" } }));
  }

  /** One could not be connected. */
  broke(id: string): void {
    this.#change(id, () => ({ isBroken: true }));
  }

  stopped(id: string): void {
    this.#change(id, () => ({ isStopped: true }));
  }

  removed(id: string): void {
    this.#notes.delete(id);
  }

  /** The network keeps an address for the pod. */
  reserved(address: PodAddress): void {
    this.#address = address;
  }

  /** One is connected, with this address. */
  connected(id: string, address: PodAddress): void {
    this.#connectedId = id;
    this.#address = address;
  }

  /** The network has nothing of the pod any more. */
  disconnected(): void {
    this.#connectedId = undefined;
    this.#address = undefined;
  }

  /** Nothing is left of any. */
  gone(): void {
    this.#notes.clear();
    this.disconnected();
  }

  #change(id: string, change: (notes: SandboxNotes) => Partial<SandboxNotes>): void {
    const notes = this.#notes.get(id);
    if (notes !== undefined) this.#notes.set(id, { ...notes, ...change(notes) });
  }
}

function isLive({ sandbox, isBroken, isStopped }: SandboxNotes): boolean {
  return sandbox.state === "ready" && !isBroken && !isStopped;
}
