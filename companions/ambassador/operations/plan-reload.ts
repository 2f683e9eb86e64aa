import { isDeepStrictEqual } from "node:util";
import type { ListenerConfig } from "../config/config.ts";

/** What a new configuration changes. */
export interface ReloadPlan {
  /** Listeners of the new configuration that go on as they are. */
  readonly unchanged: readonly string[];
  /** Those whose new connections are served in another way from now on; the old ones go on. */
  readonly changed: readonly string[];
  readonly added: readonly string[];
  /** Those that are gone, or moved to another address: their connections may go on for `drainMs`. */
  readonly removed: readonly string[];
}

/** Compares two configurations by the listeners' names. Pure. */
export function planReload(before: readonly ListenerConfig[], after: readonly ListenerConfig[]): ReloadPlan {
  const old = new Map(before.map((listener) => [listener.name, listener]));
  const unchanged: string[] = [];
  const changed: string[] = [];
  const added: string[] = [];
  const removed = new Set(old.keys());
  for (const listener of after) {
    const { name } = listener;
    const previous = old.get(name);
    if (previous === undefined) {
      added.push(name);
    } else if (isDeepStrictEqual(previous, listener)) {
      unchanged.push(name);
      removed.delete(name);
    } else if (isDeepStrictEqual(previous.listen, listener.listen)) {
      changed.push(name);
      removed.delete(name);
    } else {
      added.push(name);
    }
  }
  return { unchanged, changed, added, removed: [...removed] };
}
