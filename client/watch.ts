import type { KubeObject, Status } from "@peapod/api";
import { type BackoffCurve, backoffMs, delay } from "@peapod/kit";
import { ApiError, type WatchEvent } from "./client.ts";

const retry: BackoffCurve = { initialMs: 100, maximumMs: 2_000 };
/** Together about ten seconds without an answer: an engine that was restarted is back by then. */
const MOST_RETRIES = 8;

/**
 * Follows changes over as many connections as it takes: a server ends each watch after some minutes, and a new one goes on
 * where the last ended. `onLost` is called each time the server does not answer. Throws an ApiError: 410 when that place is forgotten, or the last failure once the server stays away.
 */
export async function* watchObjects<T extends KubeObject>(
  open: (resourceVersion: string) => AsyncIterable<unknown>,
  since: string,
  signal: AbortSignal,
  onLost?: () => void,
): AsyncGenerator<WatchEvent<T>> {
  let resourceVersion = since;
  for (let failures = 0; ;) {
    try {
      for await (const line of open(resourceVersion)) {
        failures = 0;
        const { type, object } = line as { type: string; object: T | Status }; // the API's own answer to a watch
        if (type === "ERROR") throw new ApiError(object as Status);
        const { metadata } = object as T;
        resourceVersion = metadata.resourceVersion ?? resourceVersion;
        if (type === "ADDED" || type === "MODIFIED" || type === "DELETED") yield { type, object: object as T };
      }
      failures += 1;
    } catch (cause) {
      if (signal.aborted) throw signal.reason;
      if (!(cause instanceof ApiError) || cause.code < 500 || failures >= MOST_RETRIES) throw cause;
      failures += 1;
      onLost?.();
    }
    await delay(backoffMs(retry, Math.min(failures, MOST_RETRIES)), signal);
  }
}
