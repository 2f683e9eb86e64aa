import { type Event, events } from "@peapod/api";
import { ApiError, type Client } from "@peapod/client";
import { type Clock, isAbort, type Logger } from "@peapod/kit";

/** As long as kube-apiserver keeps an event (`--event-ttl`). */
const TTL_MS = 3_600_000;
const LOOK_EVERY_MS = 300_000;

/** Deletes events that nothing has happened to for an hour, until the signal is aborted. On a real cluster the API server does that. */
export async function expireEvents(
  { client, clock, log }: { client: Client; clock: Clock; log: Logger },
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    try {
      await clock.sleep(LOOK_EVERY_MS, signal);
      await expireOnce(client, clock.nowMs(), signal);
    } catch (cause) {
      if (isAbort(cause, signal)) return;
      log.warn("events not expired", { error: cause });
    }
  }
}

async function expireOnce(client: Client, nowMs: number, signal: AbortSignal): Promise<void> {
  const { items } = await client.list(events, {}, signal);
  for (const event of items) {
    if (nowMs - lastMs(event) < TTL_MS) continue;
    const { name = "", namespace = "", uid } = event.metadata;
    try {
      await client.delete(events, { namespace, name }, uid === undefined ? {} : { uid }, signal);
    } catch (cause) {
      if (!(cause instanceof ApiError && (cause.code === 404 || cause.code === 409))) throw cause; // gone already
    }
  }
}

function lastMs({ lastTimestamp, eventTime, metadata }: Event): number {
  return Date.parse(lastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? "");
}
