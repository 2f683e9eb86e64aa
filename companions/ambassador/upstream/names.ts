import { lookup } from "node:dns/promises";
import { backoffMs, type Clock } from "@peapod/kit";

/** More addresses of one name than this are not used. */
const ADDRESSES_AT_MOST = 64;

/** Between the end of a lookup and the next that a failed connection asks for. */
const LOOK_AGAIN_MS = 500;

/** Between lookups of a name that has never been resolved: its listener is not ready, and who waits for that makes no connection. */
const FIRST_TIME = { initialMs: 500, maximumMs: 5_000 };

/** The addresses of a name, in the order in which to try them. Rejects when there are none. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/**
 * The system's resolver: /etc/hosts, search domains and all. It blocks a thread of libuv's pool (of four, which files and cryptography share) for
 * each lookup, up to half a minute when no server answers, and cannot be stopped: no more than `atOnce` run at a time. Share one in a process.
 */
export function createSystemResolve(options: { readonly atOnce?: number; readonly lookup?: Resolve } = {}): Resolve {
  const { atOnce = 2, lookup: look = lookUp } = options;
  const waiting: (() => void)[] = []; // one for each name at most
  let running = 0;
  return async (host) => {
    if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await look(host);
    } finally {
      const next = waiting.shift(); // takes this place over
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

async function lookUp(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address);
}

/** One name, and what it stands for: looked up by one lookup at a time. The last good addresses stay when that fails. */
export class ResolvedName {
  readonly host: string;
  readonly #parts: NameParts;
  #lookup: Promise<void> | undefined;
  #lookedAtMs = -Infinity;
  #failure: Error | undefined;
  #isKnown = false;

  constructor(host: string, parts: NameParts) {
    this.host = host;
    this.#parts = parts;
  }

  /** Why the last lookup failed; undefined when it did not. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Why it stands for no address: it never did yet. Undefined: it does, if only for one of before. */
  get problem(): string | undefined {
    if (this.#isKnown) return undefined;
    return this.#failure === undefined ? "name is being looked up" : `name cannot be resolved (${this.#failure.message})`;
  }

  /** Looks it up, or joins the lookup that runs. Never rejects. */
  look(): Promise<void> {
    this.#lookup ??= this.#look().finally(() => {
      this.#lookup = undefined;
      this.#lookedAtMs = this.#parts.clock.monotonicMs();
    });
    return this.#lookup;
  }

  /** The same, unless that was done a moment ago. */
  async lookUnlessRecent(): Promise<void> {
    const { clock } = this.#parts;
    const agoMs = clock.monotonicMs() - this.#lookedAtMs;
    if (this.#lookup !== undefined || agoMs >= LOOK_AGAIN_MS) await this.look();
  }

  /** Looks it up now and again, sooner until it is resolved for the first time, until the signal is aborted; `random` spreads the lookups of many. */
  async refresh(everyMs: number, random: () => number, signal: AbortSignal): Promise<void> {
    for (let round = 0; !signal.aborted; round += 1) {
      void this.look();
      const spread = 0.9 + 0.2 * random();
      const soonMs = this.#isKnown ? 0 : Math.min(everyMs, backoffMs(FIRST_TIME, round)) * spread;
      if (soonMs > 0) await this.#pause(soonMs, signal);
      if (this.#isKnown) await this.#pause(everyMs * spread - soonMs, signal);
    }
  }

  /** Ends early, without a word, when the signal is aborted. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#parts.clock.sleep(ms, signal);
    } catch (cause) {
      if (!signal.aborted) throw cause;
    }
  }

  async #look(): Promise<void> {
    try {
      const addresses = await this.#parts.resolve(this.host);
      if (addresses.length === 0) throw new Error("the name has no address");
      this.#failure = undefined;
      this.#isKnown = true;
      this.#parts.onAddresses([...new Set(addresses)].slice(0, ADDRESSES_AT_MOST));
    } catch (cause) {
      this.#failure = cause instanceof Error ? cause : new Error(String(cause));
      this.#parts.onFailure(this.#failure);
    }
  }
}

interface NameParts {
  readonly resolve: Resolve;
  readonly clock: Clock;
  readonly onAddresses: (addresses: readonly string[]) => void;
  readonly onFailure: (failure: Error) => void;
}
