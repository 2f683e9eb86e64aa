import { startTimer } from "@peapod/kit";
import { Cancel, type CancelSignal } from "../flow/cancel.ts";

/** The limits of one try. */
export interface TryLimits {
  readonly ms: number;
  /** The caller's: its abort ends the try at once. */
  readonly signal: CancelSignal;
  /** The error that is thrown when the time is over. */
  readonly timeoutError: () => Error;
}

/**
 * Runs `work` for at most so long: rejects with `timeoutError`, or the signal's reason, at that moment, whether or not `work` heeds the signal
 * it is given. What it makes too late is ended (`Symbol.dispose`, else `destroy()`), and what it throws too late is of no interest.
 * One timer and one listener, without AbortSignal.any or even a controller: this is on the way of every connection.
 */
export function within<T>({ ms, signal, timeoutError }: TryLimits, work: (signal: Cancel) => Promise<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const control = new Cancel();
  let isOver = false;
  const finish = (): void => {
    isOver = true;
    timer[Symbol.dispose]();
    signal.removeEventListener("abort", onAbort);
  };
  const stop = (reason: unknown): void => {
    finish();
    reject(reason); // before anybody hears of the abort: this is the reason that counts
    control.abort(reason);
  };
  const onAbort = (): void => stop(signal.reason);
  const timer = startTimer(() => stop(timeoutError()), ms);
  if (signal.aborted) onAbort();
  else {
    signal.addEventListener("abort", onAbort);
    begin(work, control).then(
      (value) => {
        if (isOver) return discard(value);
        finish();
        resolve(value);
      },
      (cause: unknown) => {
        if (isOver) return;
        finish();
        reject(cause);
      },
    );
  }
  return promise;
}

/** Calls an asynchronous function; one that throws before its first promise rejects as any other. */
function begin<T>(work: (signal: Cancel) => Promise<T>, signal: Cancel): Promise<T> {
  try {
    return work(signal);
  } catch (cause) {
    return Promise.reject(cause);
  }
}

function discard(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  const end = Symbol.dispose in value ? value[Symbol.dispose] : "destroy" in value ? value.destroy : undefined;
  if (typeof end === "function") end.call(value);
}
