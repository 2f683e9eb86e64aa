import type { HttpClient } from "@peapod/client";
import { startInterval, type Timer } from "@peapod/kit";
import { formatBytes } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** A step of a pull, as the engine tells it. */
export interface PullStep {
  readonly reference: string;
  readonly phase: "resolving" | "downloading" | "extracting" | "making" | "done" | "failed";
  readonly message: string;
  readonly currentBytes?: number;
  readonly totalBytes?: number;
}

const TICK_MS = 1_000;

/** Shows pulls: a live line for each on a terminal, else a line where one begins and ends. */
export class PullView {
  readonly #terminal: Terminal;
  #ticking: Timer | undefined;
  readonly #pulls = new Map<string, { readonly startedMs: number; step: PullStep }>();

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Takes one step of one pull. */
  show(step: PullStep): void {
    const known = this.#pulls.get(step.reference);
    const startedMs = known?.startedMs ?? performance.now();
    const hasEnded = step.phase === "done" || step.phase === "failed";
    if (known === undefined && !hasEnded && !this.#terminal.isLive) this.#terminal.note(`Pulling image ${step.reference}`);
    if (hasEnded) {
      this.#pulls.delete(step.reference);
      if (step.phase === "done" && known !== undefined) {
        const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
        this.#terminal.note(this.#terminal.paintNote("dim", `Pulled image ${step.reference} in ${seconds} s`));
      }
    } else this.#pulls.set(step.reference, { startedMs, step });
    if (this.#terminal.isLive) this.#ticking ??= startInterval(() => this.#draw(), TICK_MS).unref();
    this.#draw();
  }

  /** Anew, too, while no step comes: time goes on. */
  #draw(): void {
    this.#terminal.show([...this.#pulls.values()].map((pull) => describe(pull.step, pull.startedMs)));
  }

  /** Takes the live lines away, for good. */
  clear(): void {
    this.#ticking?.[Symbol.dispose]();
    this.#ticking = undefined;
    this.#pulls.clear();
    this.#terminal.show([]);
  }
}

/** Shows every pull under way until the signal is aborted. A server without this (a cluster) shows nothing. */
export async function showPulls(client: HttpClient, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const view = new PullView(terminal);
  try {
    for await (const line of client.requestLines({ method: "GET", path: "/peapod.dev/v1/images/progress" }, signal)) {
      view.show(line as PullStep); // the engine's own
    }
  } catch {
    // Progress is only for the eye: what a pull comes to is told by the pod, or by the answer to the pull itself.
  } finally {
    view.clear();
  }
}

function describe(step: PullStep, startedMs: number): string {
  const seconds = Math.floor((performance.now() - startedMs) / 1000);
  const bytes =
    step.currentBytes === undefined
      ? ""
      : ` ${formatBytes(step.currentBytes)}${step.totalBytes === undefined ? "" : ` of ${formatBytes(step.totalBytes)}`}`;
  return `  ${step.reference}: ${step.message === "" ? step.phase : step.message}${bytes} (${seconds} s)`;
}
