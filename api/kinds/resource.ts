import type { FieldError } from "../fields/field-error.ts";
import type { TypeRules } from "../fields/field-rule.ts";
import type { ObjectMeta, TableColumnDefinition } from "../generated.ts";
import type { NameRule } from "../values/names.ts";

/** Any object of the API. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** One entry for each kind: all that the engine, the command line and the documents know of it. `T` is the type of its objects. */
export interface Resource<T extends KubeObject = KubeObject>
  extends ResourceNames<T>, ResourceShape<T>, ResourceRules<T>, ResourceLife<T> {}

/** What a kind is called, and what one can do with it. */
export interface ResourceNames<T extends KubeObject = KubeObject> {
  /** "" for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: T["kind"];
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  /** Those the engine serves. */
  readonly subresources: readonly Subresource<T>[];
}

/** What is below an object's own path. */
export interface Subresource<T extends KubeObject = KubeObject> {
  readonly name: string;
  readonly verbs: readonly string[];
  /** The kind that it takes, where that is not the object's own. */
  readonly takes?: string;
  /** The object that is stored after a write through it. Where it is missing, the path takes and gives no objects: a log, a command. */
  write?(given: T, old: T): T;
}

/** What a kind's objects look like. */
export interface ResourceShape<T extends KubeObject = KubeObject> {
  /** The name of its type in the schema table. */
  readonly typeName: string;
  /** The verdicts on the fields of its own types, by the type's short name. */
  readonly fieldRules: Readonly<Record<string, TypeRules>>;
  /** Whether people write it into manifests; else it is the engine's own to write. */
  readonly isForManifests: boolean;
  /** Kinds with a lower number are created before, and deleted after: what others need comes first. */
  readonly creationOrder: number;
  /** How `kubectl get` shows it. */
  readonly columns: readonly TableColumnDefinition[];
  /** An object's cells, in the order of the columns. */
  cells(object: T, nowMs: number): readonly unknown[];
  /** The fields that objects can be selected by, besides their name and namespace. */
  readonly selectableFields: readonly string[];
  /** The text of a selectable field; "" where it is absent. */
  readField(object: T, field: string): string;
}

/** What holds for a kind's objects when they are written. */
export interface ResourceRules<T extends KubeObject = KubeObject> {
  readonly nameRule: NameRule;
  /** Fills in, in place, what a write leaves out. Done twice it changes nothing more. */
  applyDefaults(object: T): void;
  /** The rules that a decoded object with defaults breaks, besides those for every object's metadata. */
  validate(object: T): FieldError[];
  /** The rules that a change breaks, besides those for metadata and those of `validate`. */
  validateUpdate(object: T, old: T): FieldError[];
  /** Whether an update must say which version it changes. */
  readonly requiresVersion: boolean;
}

/** What the server does of its own with a kind's objects, from their creation to their end. */
export interface ResourceLife<T extends KubeObject = KubeObject> {
  /** The names of those that are always there. */
  readonly builtIn: readonly string[];
  /** A new object as it is stored first: with what the server sets, and without what a client may not. */
  prepareNew(object: T): T;
  /** What is made along with a new object, where it is missing. */
  createAlong(object: T): readonly KubeObject[];
  /** An update of the object itself, without what only its subresources write. */
  keep(given: T, old: T): T;
  /** Whether `metadata.generation` counts its changes. */
  readonly hasGeneration: boolean;
  /** Whether an update changed what the object is meant to be. */
  isRevision(object: T, old: T): boolean;
  /** Why it may not be deleted, in words. */
  refuseDeletion(object: T): string | undefined;
  /** The seconds that a first deletion gives it; `askedSeconds` is what the request says. 0: it goes at once. */
  deletionGrace(object: T, askedSeconds: number | undefined): number;
  /** An object that is marked as being deleted, with what the mark changes besides the metadata. */
  prepareDeletion(object: T): T;
  /** Whether something besides its finalizers must happen before it goes. */
  awaitsCleanup(object: T): boolean;
  /** Whether a deletion is answered with the object; else with a Status of success. */
  readonly answersDeleted: boolean;
}
