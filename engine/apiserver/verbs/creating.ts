import {
  alreadyExists,
  applyDefaults,
  type KubeObject,
  type Namespace,
  namespaces,
  type ObjectMeta,
  type Pod,
  pods,
  qosClass,
  type Resource,
  validate,
} from "@peapod/api";
import type { Clock } from "@peapod/kit";
import { type Store, StoreConflict } from "../../store/store.ts";
import { admitPod, readObject, refuseInvalid, support, type WriteOptions } from "./admission.ts";
import { StatusError } from "../errors.ts";
import { newMetadata } from "./metadata.ts";
import { checkNamespace, defaultServiceAccount, prepareNamespace } from "./namespace-rules.ts";
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
  const object = applyDefaults(prepare(resource, { ...read.object, metadata }));
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
  if (resource.kind === namespaces.kind) addDefaultAccount(ground, name);
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

/** Makes sure that a namespace has its `default` service account. */
export function addDefaultAccount(ground: Ground, namespace: string): void {
  const account = defaultServiceAccount(namespace);
  if (ground.store.get(keyOf(account.resource, { namespace, name: "default" })) === undefined)
    createObject(ground, account.resource, namespace, account.object, {});
}

/** The errors without those that say the same of the same field twice. */
export function withoutRepeats<T extends { field: string; type: string }>(errors: readonly T[]): T[] {
  const seen = new Set<string>();
  return errors.filter(({ field, type }) => {
    const id = `${type} ${field}`;
    return !seen.has(id) && seen.add(id);
  });
}

/** Only a node brings its own status: the kubelet registers with it. */
function prepare(resource: Resource, object: KubeObject): KubeObject {
  if (resource.kind === pods.kind) {
    const pod = admitPod(object as Pod); // the resource says the kind
    const pending: Pod = { ...pod, status: { phase: "Pending", qosClass: qosClass(pod) } };
    return pending;
  }
  if (resource.kind === namespaces.kind) return prepareNamespace(object as Namespace); // the resource says the kind
  return object;
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
