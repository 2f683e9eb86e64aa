import type { ContainerStatus, Pod } from "@peapod/api";
import { ApiError, type HttpClient, type LogQuery } from "@peapod/client";
import { delay } from "@peapod/kit";
import { placeOf } from "./object-name.ts";
import { type LogLine, logLines } from "./log-lines.ts";

export interface LogFollowerOptions {
  readonly client: HttpClient;
  readonly print: (pod: Pod, container: string, line: LogLine) => void;
  /** Only this container's. */
  readonly container?: string | undefined;
  /** Of what was written before: LogQuery's tailLines and sinceSeconds. */
  readonly query: LogQuery;
}

const RECONNECT_MS = 200;

/**
 * Follows the logs of pods through restarts of their containers and of the server. Tell it what a pod is like now, and it reads
 * what it has not read: each container instance once, one after the other.
 */
export class LogFollower {
  readonly #options: LogFollowerOptions;
  readonly #signal: AbortSignal;
  /** By pod uid and container name: what is read now, and by its id each instance taken up, until it is read. */
  readonly #containers = new Map<
    string,
    { reading: Promise<void>; readonly instances: Map<string, Promise<void>>; readonly place: LogPlace }
  >();
  /** Container ids that run, as of the last look. */
  readonly #running = new Set<string>();
  readonly #failures: unknown[] = [];

  constructor(options: LogFollowerOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  /** Looks at a pod's containers for instances that are not read yet. */
  observe(pod: Pod): void {
    const statuses = pod.status?.containerStatuses ?? [];
    for (const status of statuses.filter(({ name }) => this.#options.container === undefined || name === this.#options.container)) {
      this.#observeContainer(pod, status);
    }
  }

  /** Resolves when everything taken up so far is read to its end; throws what went wrong. */
  async finish(): Promise<void> {
    await Promise.all([...this.#containers.values()].map(({ reading }) => reading));
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  /** Resolves when the log of a container that has ended is read; at once for one that was not taken up. */
  async readToEnd(containerId: string): Promise<void> {
    await Promise.all([...this.#containers.values()].map(async ({ instances }) => instances.get(containerId)));
  }

  #observeContainer(pod: Pod, status: ContainerStatus): void {
    const { state, lastState, name } = status;
    const currentId = state?.running === undefined ? state?.terminated?.containerID : status.containerID;
    const lastId = lastState?.terminated?.containerID;
    if (state?.running !== undefined && currentId !== undefined) this.#running.add(currentId);
    if (state?.running === undefined && status.containerID !== undefined) this.#running.delete(status.containerID);
    if (lastId !== undefined) this.#running.delete(lastId);
    // While it waits to be restarted the last instance is still the one that a plain question means.
    if (lastId !== undefined) this.#take(pod, name, lastId, { previous: currentId !== undefined });
    if (currentId !== undefined) this.#take(pod, name, currentId, { follow: true });
  }

  #take(pod: Pod, container: string, id: string, how: Pick<LogQuery, "previous" | "follow">): void {
    const key = `${pod.metadata.uid ?? ""}/${container}`;
    const entry = this.#containers.get(key) ?? {
      reading: Promise.resolve(),
      instances: new Map<string, Promise<void>>(),
      place: new LogPlace(),
    };
    this.#containers.set(key, entry);
    if (entry.instances.has(id)) return;
    const isFirst = entry.instances.size === 0;
    const { tailLines, sinceSeconds } = this.#options.query;
    const earlier = isFirst
      ? { ...(tailLines === undefined ? {} : { tailLines }), ...(sinceSeconds === undefined ? {} : { sinceSeconds }) }
      : {};
    entry.reading = entry.reading
      .then(async () => await this.#read(pod, id, { ...earlier, ...how, container }, entry.place))
      .catch((cause: unknown) => {
        if (!this.#signal.aborted) this.#failures.push(cause);
      });
    entry.instances.set(id, entry.reading);
  }

  /**
   * Reads one instance to its end. A stream may be cut off, when the server ends: then on from the last line. A log is asked for by
   * the container's name, so what comes may be the next instance's by then; their common place keeps every line to once.
   */
  async #read(pod: Pod, id: string, query: LogQuery & { container: string }, place: LogPlace): Promise<void> {
    const { container, follow = false } = query;
    let outcome = await this.#pass(pod, query, place);
    for (;;) {
      if (this.#signal.aborted || outcome === "none" || (outcome === "ended" && !(follow && this.#running.has(id)))) return;
      await delay(RECONNECT_MS, this.#signal).catch(() => {}); // aborted: seen at the next look
      if (outcome === "ended" && !this.#running.has(id)) return;
      await this.#pass(pod, { container, previous: true }, place);
      outcome = await this.#pass(pod, { container, follow }, place);
    }
  }

  /** One question. `none` is the server's word that there is no such log; `cut` that it broke off or did not answer. */
  async #pass(pod: Pod, query: LogQuery, place: LogPlace): Promise<"ended" | "cut" | "none"> {
    place.resume();
    try {
      const since = place.time === "" ? query : { ...query, sinceTime: place.time };
      for await (const line of logLines(this.#options.client, placeOf(pod), since, this.#signal)) {
        if (place.isNew(line)) this.#options.print(pod, query.container ?? "", line);
      }
      return "ended";
    } catch (cause) {
      if (this.#signal.aborted) return "cut";
      if (!(cause instanceof ApiError)) throw cause;
      if (cause.code === 400 || cause.code === 404) return "none";
      if (cause.code < 500) throw cause;
      return "cut";
    }
  }
}

/** How far a log is read. Several lines may carry one time, so a place is a time and how many lines of it were seen. */
export class LogPlace {
  time = "";
  #seen = 0;
  #toSkip = 0;

  /** The log comes anew, from `time` on or earlier. */
  resume(): void {
    this.#toSkip = this.#seen;
  }

  /** Tells whether a line is past this place, and if so moves there. */
  isNew({ time }: LogLine): boolean {
    if (time < this.time) return false;
    if (time === this.time && this.#toSkip > 0) {
      this.#toSkip -= 1;
      return false;
    }
    this.#seen = time === this.time ? this.#seen + 1 : 1;
    this.#toSkip = 0;
    this.time = time;
    return true;
  }
}
