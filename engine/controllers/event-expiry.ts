import { events } from "@peapod/api";
import { ApiError, type Client } from "@peapod/client";
import { type Clock, giveWay, isAbort, type Logger, monotonicOf } from "@peapod/kit";

/** As long as kube-apiserver keeps an event (`--event-ttl`). */
const TTL_MS = 3_600_000;
const LOOK_EVERY_MS = 300_000;

/**
 * Deletes events that nothing has happened to for an hour, until the signal is aborted. On a real cluster the API server does that. The hour
 * is counted from where an event is first seen so, and how old it was then is read from its timestamp: what came since the last look is
 * no older than that, whatever the wall clock says.
 */
export async function expireEvents(
  { client, clock, log }: { client: Client; clock: Clock; log: Logger },
  signal: AbortSignal,
): Promise<void> {
  let before: Look = { atMs: -Infinity, dueMs: new Map() };
  for (;;) {
    try {
      before = await expireOnce(client, clock, before, signal);
    } catch (cause) {
      if (isAbort(cause, signal)) return;
      log.warn("events not expired", { error: cause });
    }
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => {}); // only ever aborted
    if (signal.aborted) return;
  }
}

/** When all events were looked at, and when each is to go, by the monotonic clock. */
interface Look {
  readonly atMs: number;
  readonly dueMs: ReadonlyMap<string, number>;
}

async function expireOnce(client: Client, clock: Clock, before: Look, signal: AbortSignal): Promise<Look> {
  const { items } = await client.list(events, {}, signal);
  const atMs = clock.monotonicMs();
  const dueMs = new Map<string, number>();
  for (const event of items) {
    const { name = "", namespace = "", uid = "" } = event.metadata;
    const lastTime = event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp ?? "";
    const key = `${uid} ${lastTime}`;
    const happenedMs = Math.max(before.atMs, monotonicOf(clock, Date.parse(lastTime)));
    const due = before.dueMs.get(key) ?? happenedMs + TTL_MS;
    dueMs.set(key, due);
    if (atMs < due) continue;
    await remove(client, { namespace, name }, uid, signal);
    await giveWay();
  }
  return { atMs, dueMs };
}

async function remove(client: Client, where: { namespace: string; name: string }, uid: string, signal: AbortSignal): Promise<void> {
  try {
    await client.delete(events, where, { uid }, signal);
  } catch (cause) {
    if (!(cause instanceof ApiError && (cause.code === 404 || cause.code === 409))) throw cause; // gone already
  }
}
