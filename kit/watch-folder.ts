import { type FSWatcher, watch } from "node:fs";
import { startTimer, type Timer } from "./timers.ts";

const AGAIN_MS = 10_000;

/**
 * Tells of what changes in a folder, with the name where it is known, as far as the machine lets it: never throws. A container can use up
 * the inotify instances or watches that all of root's programs share, and a folder may not be there; then it tries again every `againMs`.
 * So whoever uses it looks by itself, too, every now and then.
 */
export function watchFolder(folder: string, onChange: (name: string | undefined) => void, againMs: number = AGAIN_MS): Disposable {
  let watcher: FSWatcher | undefined;
  let again: Timer | undefined;
  const later = (): void => {
    watcher?.close();
    again = startTimer(begin, againMs).unref();
  };
  const begin = (): void => {
    try {
      watcher = watch(folder, { persistent: false }, (_event, name) => onChange(name ?? undefined));
      watcher.once("error", later);
    } catch {
      later(); // as said above, this is nothing that must not happen
    }
  };
  begin();
  return {
    [Symbol.dispose]: () => {
      again?.[Symbol.dispose]();
      watcher?.close();
    },
  };
}
