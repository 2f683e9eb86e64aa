import { dirname } from "node:path";
import { type Clock, startTimer, watchFolder } from "@peapod/kit";
import { readConfigFile } from "../config/load-config.ts";
import { CompanionError } from "../errors.ts";

/** How often the file is read, whatever the events say. A ConfigMap takes up to a minute to arrive, so this adds nothing that shows. */
const POLL_MS = 1_000;
/**
 * Two readings so far apart must agree: a file that is being rewritten in place may be half there, and half of it may be valid. And so long
 * it waits between two looks: whatever else is written in the folder, a log for one, rings as well.
 */
const SETTLE_MS = 100;

/** What a followed file says, to whom, and from where on. */
export interface FollowOptions {
  readonly path: string;
  /** The text that is known already. */
  readonly known: string;
  readonly clock: Clock;
  /** Called with each new text, one at a time. It owns its errors. */
  onChange(text: string): Promise<void>;
  /** Called once each time that the file can no longer be read. What was known stays. */
  onMissing(cause: CompanionError): void;
}

/**
 * Compares the file with what was known, by content: each second, and soon after an event in its folder. Events alone are not enough:
 * they miss the swapped `..data` link of a ConfigMap on some file systems, and there are none through an overlay or NFS. Content alone
 * would do; a file mounted with `subPath` never changes, whoever looks. Runs until the signal is aborted.
 */
export async function followFile(options: FollowOptions, signal: AbortSignal): Promise<void> {
  const { path, clock } = options;
  let { known } = options;
  let isMissing = false;
  const bell = new Bell();
  const ring = (): void => bell.ring();
  using _watching = watchFolder(dirname(path), ring); // what it misses, the poll sees
  signal.addEventListener("abort", ring, { once: true });
  try {
    while (!signal.aborted) {
      await bell.wait(POLL_MS);
      if (signal.aborted) return;
      try {
        const text = await readSettled(path, known, clock, signal);
        isMissing = false;
        if (text !== known) {
          known = text;
          await options.onChange(text);
        }
      } catch (cause) {
        if (signal.aborted) return;
        if (!(cause instanceof CompanionError)) throw cause;
        if (!isMissing) options.onMissing(cause);
        isMissing = true;
      }
      await clock.sleep(SETTLE_MS, signal).catch(() => {}); // the loop sees what ended it
    }
  } finally {
    signal.removeEventListener("abort", ring);
  }
}

async function readSettled(path: string, known: string, clock: Clock, signal: AbortSignal): Promise<string> {
  let text = readConfigFile(path);
  while (text !== known) {
    await clock.sleep(SETTLE_MS, signal);
    const again = readConfigFile(path);
    if (again === text) return text;
    text = again;
  }
  return text;
}

/** Wakes one waiter early; a ring while nobody waits is kept for the next. */
class Bell {
  #isRung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  async wait(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    using _timer = startTimer(resolve, ms);
    this.#wake = resolve;
    if (this.#isRung) resolve();
    await promise;
    this.#wake = undefined;
    this.#isRung = false;
  }
}
