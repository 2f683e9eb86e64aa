import { startTimer, type Timer } from "@peapod/kit";

export interface PlacesOptions {
  /** How many have a place at once. */
  readonly limit: number;
  /** A place that is held for longer is given to the next one: whoever hangs holds nobody else up. */
  readonly heldMs: number;
  /** Called when one that was refused has a place: to ask once more. */
  readonly onAdmitted: (uid: string) => void;
}

/**
 * Who of many pods may do something costly now. Nobody waits in here, so a pod that is refused can be deleted meanwhile: it is told when
 * there is a place, in the order of asking, and asks once more.
 */
export class Places {
  readonly #options: PlacesOptions;
  readonly #waiting = new Set<string>();
  readonly #holders = new Map<string, Timer>();
  #isStopped = false;

  constructor(options: PlacesOptions) {
    this.#options = options;
  }

  /** Whether a pod has a place, or gets one now; false notes that it waits for one. */
  enter(uid: string): boolean {
    if (this.#holders.has(uid)) return true;
    // Nobody overtakes those that wait.
    if (this.#isStopped || this.#holders.size >= this.#options.limit) {
      this.#waiting.add(uid);
      return false;
    }
    this.#hold(uid);
    return true;
  }

  /** Gives a pod's place back, or its wish for one. Safe to repeat. */
  leave(uid: string): void {
    this.#waiting.delete(uid);
    const timer = this.#holders.get(uid);
    if (timer === undefined) return;
    timer[Symbol.dispose]();
    this.#holders.delete(uid);
    this.#admit();
  }

  /** Stops the timers; nobody is admitted any more. */
  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#holders.values()) timer[Symbol.dispose]();
  }

  #hold(uid: string): void {
    this.#waiting.delete(uid);
    this.#holders.set(
      uid,
      startTimer(() => this.leave(uid), this.#options.heldMs),
    );
  }

  #admit(): void {
    for (const uid of this.#waiting) {
      if (this.#isStopped || this.#holders.size >= this.#options.limit) return;
      this.#hold(uid);
      this.#options.onAdmitted(uid);
    }
  }
}
