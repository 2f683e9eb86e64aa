import { delay } from "./timers.ts";

/**
 * Tries `check` until it neither throws nor gives `false`, and gives its value; for tests against real processes.
 * Throws what the last try threw once `withinMs` have passed.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  options: { withinMs: number; everyMs?: number },
): Promise<Exclude<T, false>> {
  const deadline = performance.now() + options.withinMs;
  for (;;) {
    let failure: unknown;
    try {
      const value = await check();
      if (value !== false) return value as Exclude<T, false>; // narrowed by the line itself
      failure = new Error("The check still says false");
    } catch (cause) {
      failure = cause;
    }
    if (performance.now() >= deadline) throw new Error(`Not so within ${options.withinMs} ms`, { cause: failure });
    await delay(options.everyMs ?? 20);
  }
}
