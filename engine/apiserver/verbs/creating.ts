import { alreadyExists, applyDefaults, type KubeObject, type ObjectMeta, type Resource, resourceOf, validate } from "@peapod/api";
import type { Clock } from "@peapod/kit";
import { type Store, StoreConflict } from "../../store/store.ts";
import { readObject, refuseInvalid, support, type WriteOptions } from "./admission.ts";
import { StatusError } from "../errors.ts";
import { newMetadata } from "./metadata.ts";
import { checkNamespace } from "./namespace-rules.ts";
import { keyOf } from "./object-key.ts";

/** What the verbs work on. */
export interface Ground {
  readonly store: Store;
  readonly clock: Clock;
}

/** Stores a new object as the client wrote it, with defaults. Throws 400, 403, 404, 409 or 422. */
export function createObject(
  ground: Ground,
  resource: Resource,
  namespace: string | undefined,
  body: unknown,
  options: WriteOptions,
): KubeObject {
  const read = readObject(body, resource, options);
  const metadata = freeMetadata(ground, resource, read.object, namespace);
  const refusals = support(read.object, undefined, options);
  const object = applyDefaults(resource.prepareNew({ ...read.object, metadata }));
  const name = metadata.name ?? "";
  if (resource.namespaced && name !== "") checkNamespace(ground.store, resource, metadata.namespace ?? "", name);
  refuseInvalid(
    resource,
    name === "" ? (metadata.generateName ?? "") : name,
    withoutRepeats([...read.errors, ...validate(object), ...refusals]),
  );
  if (options.dryRun === true) {
    if (ground.store.get(keyOf(resource, { ...metadata, name })) !== undefined) throw new StatusError(alreadyExists(resource, name));
    return object;
  }
  const stored = put(ground.store, resource, object);
  createAlong(ground, resource, stored);
  return stored;
}

/** As upstream's: so often another name is made up where the one made up from `generateName` is taken. */
const NAME_ATTEMPTS = 8;

/** The metadata of a new object, with a name that is free where the server makes it up. */
function freeMetadata(ground: Ground, resource: Resource, object: KubeObject, namespace: string | undefined): ObjectMeta {
  for (let attempt = 1; ; attempt += 1) {
    const metadata = newMetadata(resource, object, namespace, ground.clock.nowMs());
    const { name = "" } = metadata;
    const isMadeUp = name !== "" && (object.metadata.name ?? "") === "";
    if (!isMadeUp || attempt === NAME_ATTEMPTS || ground.store.get(keyOf(resource, { ...metadata, name })) === undefined) return metadata;
  }
}

/** Makes what belongs to an object from its creation on, where it is missing. */
export function createAlong(ground: Ground, resource: Resource, object: KubeObject): void {
  for (const other of resource.createAlong(object)) {
    const kind = resourceOf(other);
    if (kind === undefined) throw new Error(`A ${resource.kind} brings a ${other.kind}, which is not served`);
    const { namespace, name = "" } = other.metadata;
    if (ground.store.get(keyOf(kind, { name, ...(namespace === undefined ? {} : { namespace }) })) === undefined)
      createObject(ground, kind, namespace, other, {});
  }
}

/** The errors without those that say the same of the same field twice. */
export function withoutRepeats<T extends { field: string; type: string }>(errors: readonly T[]): T[] {
  const seen = new Set<string>();
  return errors.filter(({ field, type }) => {
    const id = `${type} ${field}`;
    return !seen.has(id) && seen.add(id);
  });
}

function put(store: Store, resource: Resource, object: KubeObject): KubeObject {
  const { namespace = "", name = "" } = object.metadata;
  try {
    return store.create(keyOf(resource, { namespace, name }), object);
  } catch (cause) {
    if (cause instanceof StoreConflict) throw new StatusError(alreadyExists(resource, name), { cause });
    throw cause;
  }
}
