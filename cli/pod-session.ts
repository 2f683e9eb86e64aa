import { type Event, events, type Pod, pods } from "@peapod/api";
import { ApiError, type HttpClient } from "@peapod/client";
import { delay } from "@peapod/kit";
import { placeOf } from "./object-name.ts";
import { followObject } from "./follow-object.ts";
import { LogFollower } from "./log-follower.ts";
import { Margin } from "./margin.ts";
import { type Note, podNotes } from "./pod-notes.ts";
import { hasEnded } from "./pod-status.ts";
import type { Terminal } from "./terminal.ts";

/** How a pod ended; `gone` when somebody deleted it. */
export type PodOutcome = "succeeded" | "failed" | "gone";

export interface PodSessionOptions {
  readonly client: HttpClient;
  readonly pods: readonly Pod[];
  readonly terminal: Terminal;
  readonly timestamps: boolean;
}

const ASK_EVERY_MS = 300;

/** Troubles that the container's status tells by itself, with the same words. */
const toldByStatus = new Set(["BackOff", "Failed"]);

/** Shows what pods do: one log of all containers, restarts, and what goes wrong. Runs until all have ended or the signal is aborted. */
export class PodSession {
  readonly #options: PodSessionOptions;
  readonly #margin: Margin;
  readonly #follower: LogFollower;
  readonly #signal: AbortSignal;
  readonly #told = new Set<string>();
  /** By pod and container: the notes under way, one after the other. */
  readonly #telling = new Map<string, Promise<void>>();
  /** How each pod ended, in order, once all its log is shown. Rejects with what went wrong. */
  readonly ended: Promise<PodOutcome[]>;
  /** Resolves when nothing of the session is under way. */
  readonly closed: Promise<void>;
  /** By the pod's uid. */
  readonly #outcomes: ReadonlyMap<string | undefined, Promise<PodOutcome>>;
  /** While the server does not answer: the waiting for it. */
  #lost: Promise<void> | undefined;

  constructor(options: PodSessionOptions, parent: AbortSignal) {
    const stop = new AbortController();
    const signal = AbortSignal.any([parent, stop.signal]);
    this.#options = options;
    this.#signal = signal;
    const { terminal, client } = options;
    const names = options.pods.flatMap((pod) => (pod.spec?.containers ?? []).map(({ name }) => this.#nameOf(pod, name)));
    this.#margin = new Margin(names, (colour, text) => terminal.paint(colour, text));
    this.#follower = new LogFollower(
      {
        client,
        query: {},
        print: (pod, container, line) => {
          const bytes = options.timestamps ? Buffer.concat([Buffer.from(`${line.time} `), line.bytes]) : line.bytes;
          terminal.write(this.#margin.format(this.#nameOf(pod, container), bytes));
        },
      },
      signal,
    );
    const namespaces = new Set(options.pods.map(({ metadata }) => metadata.namespace ?? "default"));
    const troubles = [...namespaces].map((namespace) => this.#tellEvents(namespace));
    this.#outcomes = new Map(options.pods.map((pod) => [pod.metadata.uid, this.#watch(pod)]));
    this.ended = Promise.all(this.#outcomes.values()).finally(() => stop.abort());
    this.ended.catch(() => {}); // whoever waits for it gets it; with an interrupt nobody may
    this.closed = Promise.allSettled([this.ended, ...troubles]).then(async () => this.#lost);
  }

  /** Resolves when the last words of these pods are shown; the others may go on. */
  async untilGone(uids: readonly (string | undefined)[]): Promise<void> {
    await Promise.allSettled(uids.map(async (uid) => this.#outcomes.get(uid)));
  }

  /** With one pod the container's name is enough. */
  #nameOf(pod: Pod, container: string): string {
    return this.#options.pods.length === 1 ? container : `${pod.metadata.name}/${container}`;
  }

  async #watch(pod: Pod): Promise<PodOutcome> {
    let before: Pod | undefined;
    for await (const current of followObject(this.#options.client, pods, placeOf(pod), this.#signal, () => this.#noticeLoss())) {
      if (current === undefined || current.metadata.uid !== pod.metadata.uid) {
        await this.#follower.finish();
        if (before === undefined || !hasEnded(before)) return "gone";
        return before.status?.phase === "Succeeded" ? "succeeded" : "failed";
      }
      this.#follower.observe(current);
      const notes = podNotes(before, current);
      for (const note of notes) this.#tellInTurn(pod, note);
      before = current;
      if (!hasEnded(current)) continue;
      await this.#follower.finish();
      await Promise.all(this.#telling.values());
      return current.status?.phase === "Succeeded" ? "succeeded" : "failed";
    }
    return "gone";
  }

  /** Says once that the server is away, and when it is back. */
  #noticeLoss(): void {
    this.#lost ??= this.#untilBack().finally(() => (this.#lost = undefined));
  }

  async #untilBack(): Promise<void> {
    const { client, terminal } = this.#options;
    const tell = (text: string): void => terminal.note(terminal.paintNote("yellow", `* ${text}`));
    tell(`${client.server.origin} does not answer; the containers go on without it, and what they write is shown when it is back`);
    for (;;) {
      try {
        await delay(ASK_EVERY_MS, this.#signal);
        await client.request({ method: "GET", path: "/readyz" }, this.#signal);
        return tell(`${client.server.origin} is back`);
      } catch (cause) {
        if (this.#signal.aborted) return;
        if (!(cause instanceof ApiError)) throw cause;
      }
    }
  }

  /** A container's log first, then how it ended. */
  #tellInTurn(pod: Pod, { level, container, ended, text }: Note): void {
    const key = `${pod.metadata.uid ?? ""}/${container ?? ""}`;
    const before = this.#telling.get(key) ?? Promise.resolve();
    const logged = ended === undefined ? undefined : this.#follower.readToEnd(ended);
    this.#telling.set(
      key,
      before.then(() => logged).then(() => this.#tell(pod, container, level, text)),
    );
  }

  #tell(pod: Pod, container: string | undefined, level: "info" | "trouble", text: string): void {
    const { terminal } = this.#options;
    const name = container === undefined ? `pod/${pod.metadata.name}` : this.#nameOf(pod, container);
    terminal.note(terminal.paintNote(level === "trouble" ? "yellow" : "dim", `* ${name}: ${text}`));
  }

  /** Warnings about the pods that their status does not tell, each once. */
  async #tellEvents(namespace: string): Promise<void> {
    const { client } = this.#options;
    const uids = new Map(this.#options.pods.map((pod) => [pod.metadata.uid, pod]));
    const take = (event: Event): void => {
      const pod = uids.get(event.involvedObject.uid);
      if (pod === undefined || event.type !== "Warning" || toldByStatus.has(event.reason ?? "")) return;
      const text = `${event.reason}: ${event.message ?? ""}`;
      if (this.#told.has(`${pod.metadata.uid} ${text}`)) return;
      this.#told.add(`${pod.metadata.uid} ${text}`);
      this.#tell(pod, undefined, "trouble", text);
    };
    try {
      for (;;) {
        const { items, resourceVersion } = await client.list(events, { namespace }, this.#signal);
        for (const item of items) take(item);
        try {
          for await (const { object } of client.watch(events, { namespace, resourceVersion }, this.#signal)) take(object);
        } catch (cause) {
          if (!(cause instanceof ApiError) || cause.code !== 410) throw cause;
        }
      }
    } catch {
      // Events are a help, not the point: without them (no right to read them, a lost server) the pods' own status still tells.
    }
  }
}
