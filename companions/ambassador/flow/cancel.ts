/** Tells of an end. Both are heard in the same way. */
export type CancelSignal = AbortSignal | Cancel;

/**
 * An AbortController and its signal in one, without what makes those an EventTarget: two of them for each connection were a twentieth of
 * what a short one costs. Where somebody wants an AbortSignal it makes one.
 */
export class Cancel {
  aborted = false;
  reason: unknown;
  #hearers: readonly (() => void)[] = NOBODY;
  #controller: AbortController | undefined;

  /** Safe to repeat: the first reason stays. */
  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.#controller?.abort(reason);
    for (let [hear] = this.#hearers; hear !== undefined; [hear] = this.#hearers) {
      this.#hearers = this.#hearers.slice(1);
      hear();
    }
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  /** Calls back once. */
  addEventListener(_type: "abort", hear: () => void, _options?: { readonly once: true }): void {
    this.#hearers = this.#hearers.length === 0 ? [hear] : [...this.#hearers, hear];
  }

  removeEventListener(_type: "abort", hear: () => void): void {
    if (this.#hearers.length === 1 && this.#hearers[0] === hear) this.#hearers = NOBODY;
    else this.#hearers = this.#hearers.filter((each) => each !== hear);
  }

  /** The same as an AbortSignal, for those who know no other. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.aborted) this.#controller.abort(this.reason);
    return this.#controller.signal;
  }
}

const NOBODY: readonly (() => void)[] = [];

/** The signal as an AbortSignal. */
export function abortSignalOf(signal: CancelSignal): AbortSignal {
  return signal instanceof Cancel ? signal.signal : signal;
}
