import { groupVersion, type KubeObject, type Resource } from "@peapod/api";
import { startTimer } from "@peapod/kit";
import { HistoryGone, type Store, type StoreEvent, type WatchOptions } from "../../store/store.ts";
import { StatusError, statusOf } from "../errors.ts";
import { refusedOption } from "./list-options.ts";
import { storeName } from "./object-key.ts";
import { parseVersion, tooLargeVersion } from "./reading.ts";
import { selector, type Selection } from "./selection.ts";

export interface WatchRequest extends Selection {
  /** Left out or "0": what is there first, as ADDED events. */
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: string;
  readonly sendInitialEvents?: boolean;
  readonly allowWatchBookmarks?: boolean;
  /** Called when the watch is ended because its reader is too far behind, which may be waiting for a client that does not read. */
  readonly onBehind?: () => void;
}

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: KubeObject;
}

const BOOKMARK_EVERY_MS = 60_000;

/**
 * The selected objects' changes, as they happen. Throws 410 at once, or later for a reader that falls too far behind.
 * Ends by throwing the signal's reason.
 */
export function watchObjects(store: Store, resource: Resource, request: WatchRequest, signal: AbortSignal): AsyncIterable<WatchEvent> {
  checkOptions(request);
  const matches = selector(resource, request);
  const version = request.resourceVersion ?? "";
  const asked = version === "" || version === "0" ? 0 : parseVersion(version);
  const newest = Number(store.resourceVersion);
  if (asked > newest) throw tooLargeVersion(asked, newest);
  const initial = request.sendInitialEvents ?? asked === 0;
  const since = initial || asked === 0 ? undefined : version;
  const within = withinOf(request);
  if (since !== undefined) {
    const events = gone(() => store.watch(storeName(resource), { ...within, since }, signal));
    return follow({ store, resource, request, matches }, events, signal);
  }
  return fromNow({ store, resource, request, matches }, initial, signal);
}

function withinOf({ namespace, onBehind }: WatchRequest): Pick<WatchOptions, "namespace" | "onBehind"> {
  return { ...(namespace === undefined ? {} : { namespace }), ...(onBehind === undefined ? {} : { onBehind }) };
}

interface Watched {
  readonly store: Store;
  readonly resource: Resource;
  readonly request: WatchRequest;
  readonly matches: ((object: KubeObject) => boolean) | undefined;
}

async function* fromNow(watched: Watched, initial: boolean, signal: AbortSignal): AsyncGenerator<WatchEvent> {
  const { store, resource, request, matches } = watched;
  const within = withinOf(request);
  const { items, resourceVersion } = store.list(storeName(resource), within);
  const events = store.watch(storeName(resource), { ...within, since: resourceVersion }, signal);
  if (initial) {
    for (const object of items) if (matches === undefined || matches(object)) yield { type: "ADDED", object };
    if (request.sendInitialEvents === true) yield bookmark(resource, resourceVersion, { "k8s.io/initial-events-end": "true" });
  }
  yield* follow(watched, events, signal);
}

async function* follow(watched: Watched, events: AsyncIterable<StoreEvent>, signal: AbortSignal): AsyncGenerator<WatchEvent> {
  const { store, resource, request, matches } = watched;
  const source = events[Symbol.asyncIterator]();
  try {
    let next = source.next();
    for (;;) {
      // A next() that is still open has nothing queued behind it, so the store's version is one that this watch has seen all up to.
      const step = request.allowWatchBookmarks === true ? await orQuiet(next, BOOKMARK_EVERY_MS) : await next;
      if (step === "quiet") {
        yield bookmark(resource, store.resourceVersion);
        continue;
      }
      if (step.done === true) return;
      const event = translate(step.value, matches);
      if (event !== undefined) yield event;
      next = source.next();
    }
  } catch (cause) {
    signal.throwIfAborted();
    throw cause instanceof HistoryGone ? new StatusError(statusOf(cause), { cause }) : cause;
  } finally {
    await source.return?.();
  }
}

/** What a change is to somebody who sees only the selected objects: one that leaves the selection is deleted to them. */
function translate(event: StoreEvent, matches: Watched["matches"]): WatchEvent | undefined {
  if (matches === undefined) return { type: event.type, object: event.object };
  const before = event.previous !== undefined && matches(event.previous);
  const after = event.type !== "DELETED" && matches(event.object);
  if (after) return { type: before ? "MODIFIED" : "ADDED", object: event.object };
  if (!before || event.previous === undefined) return undefined;
  const { previous } = event;
  return { type: "DELETED", object: { ...previous, metadata: { ...previous.metadata, resourceVersion: event.resourceVersion } } };
}

async function orQuiet<T>(promise: Promise<T>, afterMs: number): Promise<T | "quiet"> {
  const { promise: quiet, resolve } = Promise.withResolvers<"quiet">();
  using _timer = startTimer(() => resolve("quiet"), afterMs);
  return await Promise.race([promise, quiet]);
}

function bookmark(resource: Resource, resourceVersion: string, annotations?: Record<string, string>): WatchEvent {
  const metadata = { resourceVersion, ...(annotations === undefined ? {} : { annotations }) };
  return { type: "BOOKMARK", object: { kind: resource.kind, apiVersion: groupVersion(resource), metadata } };
}

function gone<T>(start: () => T): T {
  try {
    return start();
  } catch (cause) {
    throw cause instanceof HistoryGone ? new StatusError(statusOf(cause), { cause }) : cause;
  }
}

function checkOptions(request: WatchRequest): void {
  const { sendInitialEvents, resourceVersionMatch = "" } = request;
  if (sendInitialEvents === undefined) {
    if (resourceVersionMatch !== "")
      throw refusedOption("resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
    return;
  }
  if (resourceVersionMatch !== "NotOlderThan")
    throw refusedOption("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
}
