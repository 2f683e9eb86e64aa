import { readFieldPath } from "../fields/read-field-path.ts";
import { equalJson } from "../values/json.ts";
import { subdomainName } from "../values/names.ts";
import { columns } from "./columns.ts";
import type { KubeObject, Resource, ResourceNames, ResourceShape } from "./resource.ts";
import { keepStatus, withoutStatus } from "./status-subresource.ts";

/** What a kind must say of itself; the rest it may leave to the usual. */
type KindEntry<T extends KubeObject> = Pick<ResourceNames<T>, "kind" | "plural" | "singular"> &
  Pick<ResourceShape<T>, "typeName" | "fieldRules"> &
  Partial<Resource<T>>;

/** Every verb of an object that people and programs write. */
export const everyVerb: readonly string[] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/** Where most kinds stand in the order of creation: after what they need, before what runs. */
const USUAL_ORDER = 50;

/** A kind's entry, filled up with what upstream does with most kinds. */
export function defineKind<T extends KubeObject>(entry: KindEntry<T>): Resource<T> {
  const hasStatus = (entry.subresources ?? []).some(({ name }) => name === "status");
  return {
    group: "",
    version: "v1",
    shortNames: [],
    categories: [],
    namespaced: true,
    verbs: everyVerb,
    subresources: [],
    isForManifests: true,
    creationOrder: USUAL_ORDER,
    columns: [columns.name, columns.created],
    cells: ({ metadata }) => [metadata.name, metadata.creationTimestamp],
    selectableFields: [],
    readField: readFieldPath,
    nameRule: subdomainName,
    applyDefaults: () => {},
    validate: () => [],
    validateUpdate: () => [],
    requiresVersion: false,
    builtIn: [],
    prepareNew: hasStatus ? withoutStatus : (object) => object,
    createAlong: () => [],
    keep: hasStatus ? keepStatus : (given) => given,
    hasGeneration: true,
    isRevision: (object, old) => !equalJson(meaning(object), meaning(old)),
    refuseDeletion: () => undefined,
    deletionGrace: () => 0,
    prepareDeletion: (object) => object,
    awaitsCleanup: () => false,
    answersDeleted: false,
    ...entry,
  };
}

/** What somebody wants of an object: all but its metadata, and the status that it came to. */
function meaning(object: KubeObject & { status?: unknown }): unknown {
  const { metadata: _metadata, status: _status, ...rest } = object;
  return rest;
}
