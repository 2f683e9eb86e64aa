import { asRecord, type ConfigMap, equalJson, isRecord, type KubeObject, parseJson, type Pod, pods } from "@peapod/api";
import { ApiError, type Client } from "@peapod/client";
import { deleteAndWait } from "./delete-object.ts";
import type { ManifestObject } from "./manifest.ts";
import { inNamespace, nameOf, placeOf } from "./object-name.ts";

/** What applying an object came to. `recreated` was deleted first, since the change cannot be made in place. */
export interface Applied extends ManifestObject {
  readonly action: "created" | "configured" | "unchanged" | "recreated";
  /** As it was before it was configured. */
  readonly before?: KubeObject;
}

/** The ids of the containers that a pod's change replaces: those whose image is another now. */
export function replacedContainers({ object, before }: Applied): string[] {
  if (object.kind !== pods.kind || before === undefined) return [];
  const [now, then] = [object as Pod, before as Pod]; // the kind says so
  const images = new Map(now.spec?.containers.map(({ name, image }) => [name, image]));
  const replaced = new Set(then.spec?.containers.filter(({ name, image }) => images.get(name) !== image).map(({ name }) => name));
  const statuses = then.status?.containerStatuses ?? [];
  return statuses.filter(({ name }) => replaced.has(name)).flatMap(({ containerID }) => (containerID === undefined ? [] : [containerID]));
}

export interface ApplyOptions {
  /** Where objects go that name no namespace. */
  readonly namespace: string;
  readonly onWarning: (text: string) => void;
  /** Called before an object is deleted to be created anew. */
  readonly onRecreate: (name: string, why: string) => void;
}

const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
const FIELD_MANAGER = "peapod";

/** In the order in which they are created; deleting goes the other way. */
export function inOrder<T extends ManifestObject>(objects: readonly T[]): T[] {
  return objects.toSorted((left, right) => left.resource.creationOrder - right.resource.creationOrder);
}

/**
 * Creates an object, or changes the one that is there as kubectl's apply does: what the last apply set and this one does not is
 * taken away, what others set stays. A pod that ended, or whose change cannot be made in place, is deleted and created anew.
 */
export async function applyObject(client: Client, wanted: ManifestObject, options: ApplyOptions, signal: AbortSignal): Promise<Applied> {
  const { resource } = wanted;
  const object = withLastApplied(inNamespace(wanted, options.namespace).object);
  const write = { fieldManager: FIELD_MANAGER, fieldValidation: "Strict", onWarning: options.onWarning } as const;
  const create = async (): Promise<KubeObject> => await client.create(resource, object, write, signal);
  if (object.metadata.name === undefined) return { resource, object: await create(), action: "created" };
  const stored = await getIfPresent(client, { resource, object }, signal);
  if (stored === undefined) return { resource, object: await create(), action: "created" };

  const recreate = async (why: string): Promise<Applied> => {
    options.onRecreate(nameOf({ resource, object }), why);
    await deleteAndWait(client, { resource, object: stored }, {}, signal);
    return { resource, object: await create(), action: "recreated" };
  };
  const why = resource.kind === pods.kind ? whyRecreate(stored as KubeObject as Pod, object as KubeObject as Pod) : undefined; // the kind says so
  if (why !== undefined) return await recreate(why);
  const patch = mergePatchOf(stored, object);
  if (patch === undefined) return { resource, object: stored, action: "unchanged" };
  try {
    const changed = await client.patch(resource, placeOf(object), { type: "merge", body: patch }, write, signal);
    return { resource, object: changed, action: "configured", before: stored };
  } catch (cause) {
    if (resource.kind === pods.kind && cause instanceof ApiError && cause.code === 422)
      return await recreate("this cannot be changed in place");
    throw cause;
  }
}

/** Why a pod must be made anew, or undefined where it can be changed in place: only images can. */
export function whyRecreate(stored: Pod, wanted: Pod): string | undefined {
  const phase = stored.status?.phase;
  if (stored.metadata.deletionTimestamp !== undefined) return "it is being deleted";
  if (phase === "Succeeded" || phase === "Failed") return "it ended before";
  const last = lastApplied(stored)?.spec ?? undefined;
  const isSame = last === undefined ? covers(stored.spec, wanted.spec) : equalJson(last, wanted.spec);
  if (isSame) return undefined;
  const changesImagesOnly = last !== undefined && equalJson(withoutImages(last as Pod["spec"]), withoutImages(wanted.spec));
  return changesImagesOnly ? undefined : "its spec changed";
}

/** A merge patch (RFC 7386) from what is stored to what is wanted; undefined where they agree. */
export function mergePatchOf(stored: KubeObject, wanted: KubeObject): unknown {
  const last = lastApplied(stored);
  const patch =
    stored.kind === pods.kind
      ? podPatch(last, stored as Pod, wanted as KubeObject as Pod)
      : diff(last && withEncodedStrings(last), stored, withEncodedStrings(wanted));
  return patch === undefined || isOnlyLastApplied(patch, last, wanted) ? undefined : patch;
}

/** Of a pod's spec only images change in place; a merge patch replaces lists whole, so the containers are the stored ones with them. */
function podPatch(last: KubeObject | undefined, stored: Pod, wanted: Pod): Json | undefined {
  const metadata = diff(last?.metadata, stored.metadata, wanted.metadata);
  const images = new Map(wanted.spec?.containers.map(({ name, image }) => [name, image]));
  const containers = (stored.spec?.containers ?? []).map((container) => {
    const image = images.get(container.name);
    return image === undefined ? container : { ...container, image };
  });
  const spec = equalJson(containers, stored.spec?.containers) ? undefined : { containers };
  if (metadata === undefined && spec === undefined) return undefined;
  return { ...(metadata === undefined ? {} : { metadata }), ...(spec === undefined ? {} : { spec }) };
}

/** A Secret's stringData is written only: compare what it becomes. */
function withEncodedStrings(wanted: KubeObject): KubeObject {
  const { stringData, data, ...rest } = wanted as KubeObject & { stringData?: Record<string, string>; data?: ConfigMap["data"] };
  if (wanted.kind !== "Secret" || stringData === undefined) return wanted;
  const encoded = Object.entries(stringData).map(([key, text]) => [key, Buffer.from(text).toString("base64")]);
  return { ...rest, data: { ...data, ...Object.fromEntries(encoded) } } as KubeObject; // a secret still
}

type Json = Record<string, unknown>;

function diff(last: unknown, stored: unknown, wanted: unknown): Json | undefined {
  const patch: Json = {};
  const [before, now, target] = [asJson(last), asJson(stored), asJson(wanted)];
  for (const [key, value] of Object.entries(target)) {
    if (key === "apiVersion" || key === "kind" || key === "status") continue;
    if (isRecord(value) && isRecord(now[key])) {
      const inner = diff(before[key], now[key], value);
      if (inner !== undefined) patch[key] = inner;
    } else if (!equalJson(now[key], value)) patch[key] = value;
  }
  for (const key of Object.keys(before)) if (!(key in target) && key in now) patch[key] = null;
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** The annotation alone differs where only its spelling does. */
function isOnlyLastApplied(patch: unknown, last: KubeObject | undefined, wanted: KubeObject): boolean {
  const { metadata, ...rest } = asJson(patch);
  const { annotations, ...more } = asJson(metadata);
  const keys = Object.keys(asJson(annotations));
  const isOnly = Object.keys(rest).length === 0 && Object.keys(more).length === 0 && keys.length === 1 && keys[0] === LAST_APPLIED;
  return isOnly && last !== undefined && equalJson(last, withoutLastApplied(wanted));
}

function lastApplied(stored: KubeObject): (KubeObject & { spec?: unknown }) | undefined {
  const text = stored.metadata.annotations?.[LAST_APPLIED];
  if (text === undefined) return undefined;
  try {
    return withoutLastApplied(parseJson(text) as KubeObject);
  } catch {
    return undefined; // somebody else's words there: as if it had never been applied
  }
}

function withLastApplied(object: KubeObject): KubeObject {
  const annotations = { ...object.metadata.annotations, [LAST_APPLIED]: `${JSON.stringify(withoutLastApplied(object))}\n` };
  return { ...object, metadata: { ...object.metadata, annotations } };
}

/** As kubectl writes it: with an empty map where there is no other annotation. */
function withoutLastApplied(object: KubeObject): KubeObject {
  const { [LAST_APPLIED]: _, ...annotations } = object.metadata.annotations ?? {};
  return { ...object, metadata: { ...object.metadata, annotations } };
}

/** Tells whether `stored` has everything that `wanted` says, whatever defaults it has beside. */
function covers(stored: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return Array.isArray(stored) && stored.length === wanted.length && wanted.every((item, index) => covers(stored[index], item));
  }
  if (isRecord(wanted)) return isRecord(stored) && Object.entries(wanted).every(([key, value]) => covers(stored[key], value));
  return equalJson(stored, wanted);
}

function withoutImages(spec: Pod["spec"]): unknown {
  return { ...spec, containers: spec?.containers.map((container) => ({ ...container, image: "" })) };
}

async function getIfPresent(client: Client, { resource, object }: ManifestObject, signal: AbortSignal): Promise<KubeObject | undefined> {
  try {
    return await client.get(resource, placeOf(object), signal);
  } catch (cause) {
    if (cause instanceof ApiError && cause.code === 404) return undefined;
    throw cause;
  }
}

function asJson(value: unknown): Json {
  return asRecord(value) ?? {};
}
