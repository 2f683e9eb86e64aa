import { abortAfter, type Clock, isAbort, type Logger } from "@peapod/kit";
import type { TcpListenerConfig } from "../config/config.ts";
import { AmbassadorError } from "../errors.ts";
import { type KernelForward, type KernelStats, startKernelForward } from "../protocols/kernel/kernel-forward.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { ListenerMetrics } from "./metrics.ts";

/** How often a drain asks whether connections are left. */
const POLL_MS = 200;
const STATS_MS = 2_000;

export interface KernelPathParts {
  readonly config: TcpListenerConfig;
  readonly upstream: Upstream;
  readonly metrics: ListenerMetrics;
  readonly log: Logger;
  readonly clock: Clock;
}

/** A listener whose connections the kernel forwards, with the metrics and the drain of one whose connections come to this process. */
export class KernelPath {
  readonly #parts: KernelPathParts;
  readonly #forward: KernelForward;
  readonly #stop = new AbortController();
  readonly #run: Promise<void>;
  #isHandedOver = false;
  #told: KernelStats = { connections: 0, refused: 0, fromClientBytes: 0, toClientBytes: 0, open: undefined };

  private constructor(forward: KernelForward, parts: KernelPathParts) {
    this.#parts = parts;
    this.#forward = forward;
    this.#run = forward.run(this.#stop.signal).catch((cause: unknown) => {
      parts.log.error("the kernel's rules are not followed any more", { error: cause });
    });
  }

  /** The listener's own socket must be open. Throws CONFIG_INVALID or LISTEN_FAILED for what the kernel cannot do here. */
  static async start(parts: KernelPathParts, signal: AbortSignal): Promise<KernelPath> {
    return new KernelPath(await startKernelForward(parts.config, parts.upstream, { log: parts.log, signal }), parts);
  }

  /** Connections when last asked; 0 where the kernel does not say. */
  get open(): number {
    return this.#told.open ?? 0;
  }

  /** Brings the metrics up to what the kernel has counted. */
  async report(): Promise<void> {
    const stats = await this.#read();
    if (stats === undefined || this.#isHandedOver) return;
    const { metrics } = this.#parts;
    const since = (name: "connections" | "refused" | "fromClientBytes" | "toClientBytes"): number =>
      stats[name] < this.#told[name] ? stats[name] : stats[name] - this.#told[name]; // rules that were made again count from 0
    const [connections, refused] = [since("connections"), since("refused")];
    if (connections + refused > 0) metrics.addConnection(connections + refused);
    if (refused > 0) metrics.addFailure("LIMIT_REACHED", refused);
    metrics.addFromClientBytes(since("fromClientBytes"));
    metrics.addToClientBytes(since("toClientBytes"));
    this.#told = stats;
  }

  /** New connections come to the listener's own socket from now on; those that the kernel forwards go on. Safe to repeat. */
  async leave(): Promise<void> {
    this.#stop.abort();
    await this.#run;
  }

  /** Leaves the rules to another, who replaces them: what they forward goes on, and is no longer counted here. */
  async handOver(): Promise<void> {
    await this.leave();
    await this.report();
    this.#isHandedOver = true;
    this.#told = { ...this.#told, open: 0 };
  }

  /** Resolves when the kernel forwards no connection any more, or cannot say, or the signal is aborted. */
  async untilEmpty(signal: AbortSignal): Promise<void> {
    try {
      for (await this.report(); this.open > 0 && !signal.aborted; await this.report()) await this.#parts.clock.sleep(POLL_MS, signal);
    } catch (cause) {
      if (!isAbort(cause, signal)) throw cause;
    }
  }

  /** Takes the rules away, and with them the connections that are left. Safe to repeat. */
  async close(): Promise<void> {
    await this.leave();
    await this.report();
    await this.#forward.close();
  }

  async #read(): Promise<KernelStats | undefined> {
    try {
      return await this.#forward.stats(abortAfter(STATS_MS));
    } catch (cause) {
      if (cause instanceof AmbassadorError || (cause instanceof Error && cause.name === "TimeoutError")) return undefined; // gone, or being made again
      throw cause;
    }
  }
}
