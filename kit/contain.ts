/**
 * A handler for events that a peer brings about, and it never throws: what `handle` throws, or rejects with, goes to `onBug`, which ends that peer's
 * connection. Out of an event handler it would end the program, and with it everybody else's connections. `onBug` must not throw.
 */
export function contain<A extends readonly unknown[]>(
  handle: (...args: A) => unknown,
  onBug: (cause: unknown, ...args: A) => void,
): (...args: A) => void {
  return (...args) => {
    try {
      const result = handle(...args);
      if (result instanceof Promise) result.catch((cause: unknown) => onBug(cause, ...args));
    } catch (cause) {
      onBug(cause, ...args);
    }
  };
}
