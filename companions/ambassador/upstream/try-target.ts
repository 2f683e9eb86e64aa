import { AmbassadorError } from "../errors.ts";
import type { CancelSignal } from "../flow/cancel.ts";
import type { Endpoint, Place } from "./endpoint.ts";
import { nameFailure } from "./name-failure.ts";
import type { ResolvedName } from "./names.ts";
import type { Lease, Open, Role, Target } from "./upstream.ts";
import { within } from "./within.ts";

/** What came of one try, and where it was made: a name may have been resolved on the way. */
export type TryResult<T> =
  | { readonly kind: "connected"; readonly place: Place; readonly lease: Lease<T> }
  | { readonly kind: "failed"; readonly place: Place; readonly error: unknown };

export interface TryContext {
  readonly connectMs: number;
  readonly signal: CancelSignal;
  readonly wanted: Role | undefined;
  readonly nameOf: (endpoint: Endpoint) => ResolvedName | undefined;
}

/** Has `open` connect to one place, within the time, which a first lookup of the name is part of. Never rejects. */
export async function tryPlace<T>(first: Place, open: Open<T>, context: TryContext): Promise<TryResult<T>> {
  const { connectMs, signal, wanted, nameOf } = context;
  let place = first;
  place.hold();
  const timeoutError = (): Error =>
    new AmbassadorError("UPSTREAM_TIMEOUT", `Connecting to ${whereIs(place)} took longer than ${connectMs} ms`);
  const openUnresolved = async (trySignal: CancelSignal): Promise<T> => {
    const resolved = await resolvePlace(first.owner, nameOf(first.owner));
    trySignal.throwIfAborted();
    place.release();
    place = resolved.place;
    place.hold();
    return await open(resolved.target, trySignal, wanted);
  };
  try {
    const { target } = first;
    const work = target === undefined ? openUnresolved : (trySignal: CancelSignal) => open(target, trySignal, wanted);
    const value = await within({ ms: connectMs, signal, timeoutError }, work);
    return { kind: "connected", place, lease: new PlaceLease(value, place) };
  } catch (cause) {
    place.release();
    const error = place.target === undefined ? cause : nameFailure(cause, place.target);
    return { kind: "failed", place, error };
  }
}

/** Looks a name up for the first time. Throws UPSTREAM_UNREACHABLE. */
async function resolvePlace(endpoint: Endpoint, name: ResolvedName | undefined): Promise<{ place: Place; target: Target }> {
  await name?.lookUnlessRecent();
  const [place] = endpoint.places;
  if (place?.target !== undefined) return { place, target: place.target };
  const cause = name?.failure;
  throw new AmbassadorError("UPSTREAM_UNREACHABLE", `Cannot connect to ${endpoint.name}: ${cause?.message ?? "no address"}`, { cause });
}

function whereIs(place: Place): string {
  const { target, endpoint } = place;
  if (target === undefined || target.address.kind === "unix") return endpoint;
  return target.address.host === target.host ? endpoint : `${endpoint} (${target.address.host})`;
}

class PlaceLease<T> implements Lease<T> {
  readonly value: T;
  readonly target: Target;
  #place: Place | undefined;

  constructor(value: T, place: Place) {
    if (place.target === undefined) throw new Error("A connection without a target");
    this.value = value;
    this.target = place.target;
    this.#place = place;
  }

  [Symbol.dispose](): void {
    this.#place?.release();
    this.#place = undefined;
  }
}
