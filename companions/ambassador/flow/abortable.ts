import type { CancelSignal } from "./cancel.ts";

/** Runs one step of a connection's making, which ends the wire when it fails or is aborted; then the signal's reason is what it throws. */
export async function abortable<T>(wire: { destroy(): void }, signal: CancelSignal, step: () => Promise<T>): Promise<T> {
  const abort = (): void => wire.destroy();
  signal.addEventListener("abort", abort, { once: true });
  try {
    signal.throwIfAborted();
    const result = await step();
    signal.throwIfAborted();
    return result;
  } catch (cause) {
    wire.destroy();
    signal.throwIfAborted();
    throw cause;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
