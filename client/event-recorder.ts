import { createHash } from "node:crypto";
import { type Event, events, timestamp } from "@peapod/api";
import { ApiError, type Client } from "./client.ts";
import { type Clock, giveWay, isAbort, type Logger } from "@peapod/kit";

/** What an event is about. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion?: string;
  /** Such as `spec.containers{web}`. */
  readonly fieldPath?: string;
}

export interface EventRecorderOptions {
  readonly client: Client;
  readonly component: string;
  readonly host: string;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Pending {
  readonly subject: EventSubject;
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
  /** By the wall clock, as it is shown. */
  readonly time: string;
  /** By the monotonic clock. */
  readonly atMs: number;
  readonly name: string;
}

interface Known {
  readonly name: string;
  count: number;
  /** By the monotonic clock. */
  lastMs: number;
}

/** At the limit the oldest waiting event is dropped, and counted in the log. */
const WAITING_LIMIT = 1_000;
/** How many different events are remembered for counting. The one seen longest ago is forgotten. */
const KNOWN_LIMIT = 4_096;
/** As long as the API keeps an event. */
const COUNT_WITHIN_MS = 3_600_000;
/** An API in this process answers at once: a thousand events would be one long turn of the event loop. */
const WRITES_A_TURN = 8;
/** Events are written after what they tell of is done: this lets a pod's start have the machine. */
const GATHER_MS = 250;

/** Writes events to the API, a little later and one after the other; equal ones are counted in one, as client-go does. */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #waiting: Pending[] = [];
  readonly #known = new Map<string, Known>();
  #wake: (() => void) | undefined;
  #dropped = 0;
  #lastNs = 0n;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Notes an event. Never waits, never fails. */
  record(subject: EventSubject, type: "Normal" | "Warning", reason: string, message: string): void {
    const { clock } = this.#options;
    const [time, atMs] = [timestamp(clock.nowMs()), clock.monotonicMs()];
    this.#waiting.push({ subject, type, reason, message, time, atMs, name: this.#nextName(subject) });
    if (this.#waiting.length > WAITING_LIMIT) {
      this.#waiting.shift();
      this.#dropped += 1;
    }
    this.#wake?.();
  }

  /**
   * Upstream's form: events have times of whole seconds and are listed by name, so those of one second are shown in the order in which
   * they happened, whichever recorder of this machine noted them.
   */
  #nextName(subject: EventSubject): string {
    const nowNs = BigInt(Math.round(performance.timeOrigin * 1_000)) * 1_000n + BigInt(Math.round(performance.now() * 1_000_000));
    this.#lastNs = nowNs > this.#lastNs ? nowNs : this.#lastNs + 1n;
    return `${subject.name}.${this.#lastNs.toString(16)}`;
  }

  /** Writes what is recorded until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.#wake?.(), { once: true });
    for (let written = 0; !signal.aborted;) {
      if (this.#waiting.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
        if (!signal.aborted) await this.#options.clock.sleep(GATHER_MS, signal).catch(() => {}); // only ever aborted
      }
      const next = this.#waiting.shift();
      if (next === undefined) continue;
      await this.#write(next, signal);
      if (++written % WRITES_A_TURN === 0) await giveWay();
    }
  }

  async #write(event: Pending, signal: AbortSignal): Promise<void> {
    const { client, log } = this.#options;
    if (this.#dropped > 0) {
      log.warn("events dropped", { count: this.#dropped });
      this.#dropped = 0;
    }
    const key = createHash("sha1")
      .update(JSON.stringify([event.subject.uid, event.subject.fieldPath, event.type, event.reason, event.message]))
      .digest("hex");
    const known = this.#known.get(key);
    const namespace = event.subject.namespace || "default";
    try {
      if (known !== undefined && event.atMs - known.lastMs < COUNT_WITHIN_MS) {
        const body = { count: known.count + 1, lastTimestamp: event.time };
        try {
          await client.patch(events, { namespace, name: known.name }, { type: "merge", body }, {}, signal);
          this.#remember(key, { name: known.name, count: known.count + 1, lastMs: event.atMs });
          return;
        } catch (cause) {
          if (!(cause instanceof ApiError && cause.code === 404)) throw cause; // expired meanwhile: write it anew
        }
      }
      await client.create(events, this.#object(event, namespace), {}, signal);
      this.#remember(key, { name: event.name, count: 1, lastMs: event.atMs });
    } catch (cause) {
      if (!isAbort(cause, signal)) log.warn("event not written", { reason: event.reason, subject: event.subject.name, error: cause });
    }
  }

  #remember(key: string, known: Known): void {
    this.#known.delete(key);
    this.#known.set(key, known);
    if (this.#known.size <= KNOWN_LIMIT) return;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
  }

  #object({ subject, type, reason, message, time, name }: Pending, namespace: string): Event {
    const { component, host } = this.#options;
    return {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name, namespace },
      involvedObject: { ...subject },
      reason,
      message: message.slice(0, 1024),
      type,
      count: 1,
      firstTimestamp: time,
      lastTimestamp: time,
      source: { component, ...(host === "" ? {} : { host }) },
      reportingComponent: component,
      reportingInstance: host,
    };
  }
}
