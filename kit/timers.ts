/** The longest that the runtime's own timer waits: one of more fires at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** A timer that runs, until it fired or was disposed. */
export interface Timer extends Disposable {
  /** Lets the process end though the timer runs; gives the timer. */
  unref(): this;
}

/**
 * Calls `act` once after `ms`, however long that is (Infinity: never). Every one-shot timer goes through here: `setTimeout` itself fires at
 * once past 2^31 ms, which is 24 days, and a grace or a limit that a user gave can be longer. Measured by the monotonic clock.
 */
export function startTimer(act: () => void, ms: number): Timer {
  const atMs = performance.now() + ms;
  let isKept = true;
  let running: NodeJS.Timeout | undefined;
  const begin = (leftMs: number): void => {
    running = setTimeout(() => (leftMs > LONGEST_MS ? begin(atMs - performance.now()) : act()), Math.min(leftMs, LONGEST_MS));
    if (!isKept) running.unref();
  };
  begin(ms);
  return {
    unref() {
      isKept = false;
      running?.unref();
      return this;
    },
    [Symbol.dispose]: () => clearTimeout(running),
  };
}

/** Calls `act` every `ms`, however long that is, until it is disposed; two calls are never less than that apart. */
export function startInterval(act: () => void, ms: number): Timer {
  let isKept = true;
  let running: Timer;
  const begin = (): void => {
    running = startTimer(() => {
      begin(); // first: what is called may dispose of it
      act();
    }, ms);
    if (!isKept) running.unref();
  };
  begin();
  return {
    unref() {
      isKept = false;
      running.unref();
      return this;
    },
    [Symbol.dispose]: () => running[Symbol.dispose](),
  };
}

/** Resolves after `ms`, however long; rejects with the signal's reason when it is aborted first, and leaves no timer then. */
export async function delay(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stop = (): void => reject(signal?.reason);
  using _timer = startTimer(resolve, ms);
  signal?.addEventListener("abort", stop, { once: true });
  try {
    await promise;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** `AbortSignal.timeout` for any length: aborted after `ms` with a TimeoutError; holds no process back. */
export function abortAfter(ms: number): AbortSignal {
  if (ms <= LONGEST_MS) return AbortSignal.timeout(Math.max(0, Math.ceil(ms)));
  const controller = new AbortController();
  startTimer(() => controller.abort(new DOMException("The operation was aborted due to timeout", "TimeoutError")), ms).unref();
  return controller.signal;
}
