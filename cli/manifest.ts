import { applyDefaults, checkSupport, decode, isRecord, type KubeObject, type Resource, validate } from "@peapod/api";
import { CliError } from "./cli-error.ts";
import { absentKind, writtenKinds } from "./kinds.ts";
import type { ManifestSource } from "./manifest-source.ts";
import { unrenderedTemplate } from "./unrendered-template.ts";
import { parseYaml } from "./yaml-document.ts";

/** An object of a manifest, with the kind it is of. */
export interface ManifestObject {
  readonly resource: Resource;
  readonly object: KubeObject;
}

/** What a manifest says and what is wrong with it, each problem with its place: `pod.yaml:14: spec.x: unknown field`. */
export interface Manifest {
  readonly objects: readonly ManifestObject[];
  readonly problems: readonly string[];
}

export interface ManifestOptions {
  /** Refuse also what peapod's engine refuses and a cluster may not. */
  readonly forEngine: boolean;
}

const MOST_OBJECTS = 10_000;
/** Reads every object of the sources, strictly. Throws nothing: all problems come together, in the order of the text. */
export function parseManifest(sources: readonly ManifestSource[], options: ManifestOptions): Manifest {
  const objects: ManifestObject[] = [];
  const problems: string[] = [];
  for (const { name, text } of sources) {
    const found: { line: number; text: string }[] = [];
    const { documents, problems: broken } = parseYaml(text);
    for (const { line, message } of broken) found.push({ line, text: message });
    for (const document of documents) {
      for (const { value, path } of flatten(document.value, [])) {
        const read = readObject(value, options, (inner) => document.sourceOf([...path, ...inner]));
        for (const problem of read.problems) {
          found.push({ line: document.lineOf([...path, ...problem.path]), text: problem.text });
        }
        if (read.object !== undefined) objects.push(read.object);
      }
    }
    const template = unrenderedTemplate(
      text,
      found.map(({ line }) => line),
    );
    const shown = template === undefined ? found.toSorted((left, right) => left.line - right.line) : [template];
    problems.push(...shown.map((problem) => `${name}:${problem.line}: ${problem.text}`));
  }
  if (objects.length > MOST_OBJECTS) problems.push(`${objects.length} objects, more than ${MOST_OBJECTS}`);
  return { objects, problems };
}

/** The objects of a manifest that has no problem. Throws a CliError with all of them otherwise, or when it is empty. */
export function requireObjects(manifest: Manifest): readonly ManifestObject[] {
  if (manifest.problems.length === 1) throw new CliError(manifest.problems[0] ?? "");
  if (manifest.problems.length > 1)
    throw new CliError(`${manifest.problems.length} problems in the manifest\n${manifest.problems.join("\n")}`);
  if (manifest.objects.length === 0) throw new CliError("The manifest has no object");
  return manifest.objects;
}

/** `spec.containers[1].image` as steps. */
export function parsePath(path: string): (string | number)[] {
  return [...path.matchAll(/\[([^\]]*)\]|([^.[\]]+)/g)].map(([, index, name]) =>
    index === undefined ? (name ?? "") : /^\d+$/.test(index) ? Number(index) : index,
  );
}

interface ObjectProblem {
  readonly path: readonly (string | number)[];
  readonly text: string;
}

interface ReadObject {
  readonly object?: ManifestObject;
  readonly problems: readonly ObjectProblem[];
}

/** The items of a List, and of Lists in it; anything else is one object. */
function flatten(value: unknown, path: readonly (string | number)[]): { value: unknown; path: readonly (string | number)[] }[] {
  const isList = isRecord(value) && typeof value["kind"] === "string" && value["kind"].endsWith("List") && Array.isArray(value["items"]);
  if (!isList || path.length > 20) return [{ value, path }];
  const items: unknown[] = value["items"] as unknown[]; // looked at above
  return items.flatMap((item, index) => flatten(item, [...path, "items", index]));
}

function readObject(
  value: unknown,
  options: ManifestOptions,
  sourceOf: (path: readonly (string | number)[]) => string | undefined,
): ReadObject {
  if (!isRecord(value)) return { problems: [{ path: [], text: `expected an object with apiVersion and kind, found ${describe(value)}` }] };
  const { apiVersion, kind } = value;
  const lacking = Object.entries({ apiVersion, kind }).filter(([, text]) => typeof text !== "string" || text === "");
  if (lacking.length > 0) return { problems: lacking.map(([field]) => ({ path: [field], text: `${field}: required, and not there` })) };
  const resource = writtenKinds.find((candidate) => candidate.kind === kind && apiVersionOf(candidate) === apiVersion);
  if (resource === undefined) return { problems: [{ path: ["kind"], text: unknownKind(String(apiVersion), String(kind)) }] };

  const decoded = decode(value, resource.typeName, sourceOf);
  const problems: ObjectProblem[] = decoded.problems.map(({ pathSegments, path, message }) => ({
    path: pathSegments,
    text: path === "" ? message : `${path}: ${message}`,
  }));
  const object = decoded.value as KubeObject; // decoded as this resource's type
  const metadata = isRecord(object.metadata) ? object.metadata : {};
  if (metadata.name === undefined && metadata.generateName === undefined && !problems.some(({ path }) => path[0] === "metadata")) {
    problems.push({ path: ["metadata"], text: "metadata.name: required, and not there" });
  }
  if (options.forEngine) {
    const isSound = problems.length === 0; // rules about a value that could not be read would only repeat that
    problems.push(...supportProblems({ ...object, metadata }), ...(isSound ? ruleProblems(object, resource) : []));
  }
  return problems.length > 0
    ? { problems, object: { resource, object: { ...object, metadata } } }
    : { problems, object: { resource, object } };
}

/** What the engine refuses as not supported: said here, where the line is known. */
function supportProblems(object: KubeObject): ObjectProblem[] {
  return checkSupport(object).refusals.map(({ path, message }) => ({ path: parsePath(path), text: `${path}: ${message}` }));
}

/** The rules that the engine would find broken. */
function ruleProblems(object: KubeObject, resource: Resource): ObjectProblem[] {
  const complete = applyDefaults(object);
  const named = resource.namespaced ? { namespace: "default", ...complete.metadata } : complete.metadata;
  const broken = validate({ ...complete, metadata: { ...named, name: named.name ?? `${named.generateName ?? ""}x` } });
  return broken.map(({ field, message }) => ({ path: parsePath(field), text: message }));
}

function unknownKind(apiVersion: string, kind: string): string {
  const sameKind = writtenKinds.find((resource) => resource.kind === kind);
  if (sameKind !== undefined) return `kind: ${kind} is of apiVersion ${apiVersionOf(sameKind)}, not ${apiVersion}`;
  return `kind: ${absentKind(kind)}`;
}

/** The group and version that a manifest names for this kind. */
export function apiVersionOf(resource: Resource): string {
  return resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
}

function describe(value: unknown): string {
  return Array.isArray(value) ? "a list" : value === null ? "null" : `a ${typeof value}`;
}
