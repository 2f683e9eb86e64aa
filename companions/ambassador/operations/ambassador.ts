import { abortAfter, type Clock, type Logger } from "@peapod/kit";
import type { AmbassadorConfig } from "../config/config.ts";
import type { Credentials } from "../credentials/credentials.ts";
import { AmbassadorError } from "../errors.ts";
import { createSystemResolve, type Resolve } from "../upstream/names.ts";
import { CredentialAges } from "./credential-ages.ts";
import { Door, doorKey } from "./door.ts";
import { Listener } from "./listener.ts";
import type { Metrics } from "./metrics.ts";
import { planReload, type ReloadPlan } from "./plan-reload.ts";

export interface AmbassadorParts {
  readonly credentials: Credentials;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly clock: Clock;
  /** Looks up the names of all upstreams. Default: the system's way. */
  readonly resolve?: Resolve;
}

/** A listener that serves new connections, and where it got its socket. */
export interface Serving {
  readonly listener: Listener;
  /** With the port that was got. */
  readonly address: string;
}

/**
 * The listeners of the configuration in use; `apply` replaces it while connections live. States: serving; draining (accepts no more, what
 * runs goes on until its deadline); closed. Whoever made it disposes of it, which ends every connection.
 */
export class Ambassador implements AsyncDisposable {
  readonly #parts: AmbassadorParts;
  readonly #listeners = new Map<string, Listener>();
  /** They serve no new connections; what they have goes on. Each leaves when its last connection has ended. */
  readonly #retired = new Map<Listener, Promise<void>>();
  readonly #doors = new Map<string, Door>();
  readonly #ages: CredentialAges;
  readonly #resolve: Resolve;
  readonly #bug = Promise.withResolvers<never>();
  /** Aborted when what is left must end now. */
  readonly #hurry = new AbortController();
  #config: AmbassadorConfig | undefined;
  /** Settles when no configuration is being taken over. */
  #applying: Promise<void> = Promise.resolve();
  #lastId = 0;
  #isDraining = false;

  constructor(parts: AmbassadorParts) {
    this.#parts = parts;
    this.#resolve = parts.resolve ?? createSystemResolve();
    this.#ages = new CredentialAges(parts.credentials, () => this.listeners());
    this.#bug.promise.catch(() => {}); // told by untilBug, if anyone asks
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** The configuration in use. */
  get config(): AmbassadorConfig | undefined {
    return this.#config;
  }

  /** Those that serve new connections, in the order of the configuration. */
  serving(): readonly Serving[] {
    return [...this.#listeners.values()].map((listener) => ({ listener, address: this.#doors.get(doorKey(listener))?.address ?? "" }));
  }

  /** Those that have or may have connections. */
  listeners(): readonly Listener[] {
    return [...this.#listeners.values(), ...this.#retired.keys()];
  }

  /** Brings the counts of live connections up to now. */
  async report(): Promise<void> {
    await Promise.all(this.listeners().map((listener) => listener.report()));
  }

  /**
   * Serves by this configuration from now on; connections of listeners that did not change, or only changed in how they serve, live on.
   * Throws LISTEN_FAILED or CONFIG_INVALID, and then everything is as it was before; DRAINING once it drains. One call at a time.
   */
  async apply(config: AmbassadorConfig): Promise<ReloadPlan> {
    if (this.#isDraining) throw new AmbassadorError("DRAINING", "The ambassador is ending: it takes no new configuration");
    const applying = this.#apply(config);
    this.#applying = applying.then(
      () => {},
      () => {},
    );
    return await applying;
  }

  async #apply(config: AmbassadorConfig): Promise<ReloadPlan> {
    const plan = planReload(this.#config?.listeners ?? [], config.listeners);
    const fresh = new Map<string, Listener>();
    try {
      for (const one of config.listeners) if (!plan.unchanged.includes(one.name)) fresh.set(one.name, this.#makeListener(one));
      await this.#moveDoors(config, fresh);
    } catch (cause) {
      for (const listener of fresh.values()) await listener.close();
      throw cause;
    }
    const isFirst = this.#config === undefined;
    const kept = new Map(config.listeners.map(({ name }) => [name, this.#listeners.get(name)]));
    for (const [name, listener] of this.#listeners) {
      if (plan.changed.includes(name)) this.#retire(listener, undefined);
      else if (!plan.unchanged.includes(name)) this.#retire(listener, config.drainMs);
    }
    this.#listeners.clear();
    for (const { name } of config.listeners) {
      const listener = fresh.get(name) ?? kept.get(name);
      if (listener !== undefined) this.#listeners.set(name, listener);
    }
    for (const listener of fresh.values()) listener.start((error) => this.#bug.reject(error));
    this.#config = config;
    for (const listener of fresh.values()) await this.#enterKernel(listener, isFirst);
    return plan;
  }

  /** Accepts no more; resolves when every connection has ended, by itself or, once `drainMs` have passed, at a pause. `hurry` cuts both short. Whoever calls it disposes then. */
  async drain(hurry: AbortSignal): Promise<void> {
    this.#isDraining = true;
    await this.#applying;
    await Promise.all([...this.#doors.values()].map((door) => door.close()));
    for (const listener of this.listeners()) listener.retire();
    const over = AbortSignal.any([hurry, abortAfter(this.#config?.drainMs ?? 0)]);
    await Promise.all(
      this.listeners().map(async (listener) => {
        await listener.untilEmpty(over);
        await listener.finish(hurry);
      }),
    );
  }

  /** Runs what watches credentials; ends with the signal, or throws the bug that a background task met. */
  async run(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = (): void => resolve();
    signal.addEventListener("abort", stop, { once: true });
    try {
      await Promise.race([promise, this.#bug.promise]);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDraining = true;
    this.#ages[Symbol.dispose]();
    await this.#applying;
    await Promise.all([...this.#doors.values()].map((door) => door.close()));
    this.#hurry.abort();
    await Promise.all([...this.#listeners.values()].map((listener) => listener.close()));
    await Promise.all(this.#retired.values());
  }

  #makeListener(config: AmbassadorConfig["listeners"][number]): Listener {
    const { credentials, log, clock, metrics } = this.#parts;
    return new Listener(config, {
      credentials,
      log,
      clock,
      resolve: this.#resolve,
      metrics: metrics.forListener(config.name),
      heritage: this.#listeners.get(config.name)?.heritage,
      logsAccess: () => this.#config?.accessLog ?? false,
      nextId: () => (this.#lastId += 1),
    });
  }

  /** New sockets are opened before old ones are closed, but where the old one is in the way; when one fails, all is put back. */
  async #moveDoors(config: AmbassadorConfig, fresh: ReadonlyMap<string, Listener>): Promise<void> {
    const wanted = new Map<string, Listener>();
    for (const { name } of config.listeners) {
      const listener = fresh.get(name) ?? this.#listeners.get(name);
      if (listener !== undefined) wanted.set(doorKey(listener), listener);
    }
    const opened: Door[] = [];
    const inTheWay: Door[] = [];
    try {
      for (const [key, listener] of wanted) {
        if (this.#doors.has(key)) continue;
        for (const door of this.#doors.values()) {
          if (wanted.has(door.key) || !door.isInTheWayOf(listener) || inTheWay.includes(door)) continue;
          inTheWay.push(door);
          await door.close();
        }
        opened.push(await Door.open(listener));
      }
    } catch (cause) {
      for (const door of opened) await door.close();
      for (const door of inTheWay) await door.reopen();
      throw cause;
    }
    for (const [key, door] of this.#doors) {
      const listener = wanted.get(key);
      if (listener !== undefined) {
        door.handTo(listener);
        continue;
      }
      this.#doors.delete(key);
      await door.close();
    }
    for (const door of opened) this.#doors.set(door.key, door);
  }

  /** At the start it must be had. Later it had better be: the listener's own socket serves all the same. */
  async #enterKernel(listener: Listener, isFirst: boolean): Promise<void> {
    if (listener.config.protocol !== "tcp" || listener.config.datapath !== "kernel") return;
    try {
      for (const old of this.#retired.keys()) if (old.config.name === listener.config.name) await old.handKernelOver(); // the rules have its name
      await listener.enterKernel();
    } catch (cause) {
      if (isFirst || !(cause instanceof AmbassadorError)) throw cause;
      this.#parts.log.error("listener cannot be moved into the kernel: this process forwards", { code: cause.code, error: cause.message });
    }
  }

  #retire(listener: Listener, drainMs: number | undefined): void {
    listener.retire({ isLast: drainMs !== undefined });
    const signal = drainMs === undefined ? this.#hurry.signal : AbortSignal.any([this.#hurry.signal, abortAfter(drainMs)]);
    const gone = (async () => {
      await listener.untilEmpty(signal);
      await listener.finish(this.#hurry.signal);
      await listener.close();
      this.#retired.delete(listener);
    })();
    this.#retired.set(listener, gone);
  }
}
