import { startTimer, type Timer } from "@peapod/kit";

/** For what was cancelled to end by itself, and to clean up what it made. */
const CANCELLED_MS = 1_000;

/**
 * Waits for work that was given `signal`, but for one that does not heed it no longer than a second after it is aborted: a system call may hang
 * for ever, and whoever wants something else must not hang with it. `onLate` is called if it ends after all.
 */
export async function orAbandoned<T>(work: Promise<T>, signal: AbortSignal, onLate: () => void = () => {}): Promise<T> {
  const abandoned = Promise.withResolvers<never>();
  let timer: Timer | undefined;
  let isAbandoned = false;
  const abandon = (): void => {
    isAbandoned = true;
    abandoned.reject(signal.reason);
  };
  const onAbort = (): void => {
    timer = startTimer(abandon, CANCELLED_MS);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, abandoned.promise]);
  } finally {
    timer?.[Symbol.dispose]();
    signal.removeEventListener("abort", onAbort);
    if (isAbandoned) work.then(onLate, onLate); // nobody else hears of it any more
  }
}
