/** A loop that runs until its signal is aborted. */
export type Task = (signal: AbortSignal) => Promise<void>;

/** Tells whether `error` is only the echo of `signal` having been aborted. */
export function isAbort(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  return error === signal.reason || (error instanceof Error && error.name === "AbortError");
}

/**
 * Runs loops that live and die together: the first to end stops the rest.
 * Throws what failed: the one error, or an AggregateError of several.
 */
export async function runTogether(tasks: Record<string, Task>, parent: AbortSignal): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([parent, stop.signal]);
  const failures: unknown[] = [];
  const run = async ([name, task]: [string, Task]): Promise<void> => {
    try {
      await task(signal);
    } catch (cause) {
      if (!isAbort(cause, signal)) failures.push(new Error(`Task "${name}" failed`, { cause }));
    } finally {
      stop.abort();
    }
  };
  await Promise.all(Object.entries(tasks).map(run));
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, "Several tasks failed");
}

/** Resolves when one of the signals is aborted. */
export async function untilAborted(...signals: readonly AbortSignal[]): Promise<void> {
  const any = AbortSignal.any([...signals]);
  if (any.aborted) return;
  await new Promise<void>((resolve) => any.addEventListener("abort", () => resolve(), { once: true }));
}

/** Resolves when the process receives one of `signals`, or when `abort` is aborted. */
export async function untilSignal(signals: readonly NodeJS.Signals[], abort: AbortSignal): Promise<void> {
  if (abort.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = (): void => resolve();
  for (const name of signals) process.on(name, done);
  abort.addEventListener("abort", done, { once: true });
  try {
    await promise;
  } finally {
    for (const name of signals) process.off(name, done);
    abort.removeEventListener("abort", done);
  }
}
