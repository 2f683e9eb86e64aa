import {
  asRecord,
  badRequest,
  checkSupport,
  decode,
  type FieldError,
  groupVersion,
  invalidStatus,
  type KubeObject,
  type Problem,
  prohibitedField,
  requiredField,
  type Resource,
} from "@peapod/api";
import { StatusError } from "../errors.ts";

/** How a write is to be taken. */
export interface WriteOptions {
  /** The name of the subresource that is written; left out: the object itself. */
  readonly subresource?: string;
  /** Default Warn. */
  readonly fieldValidation?: "Strict" | "Warn" | "Ignore";
  readonly dryRun?: boolean;
  /** Called with each warning. */
  readonly onWarning?: (text: string) => void;
}

/** An object of a request, read, and the rules that its values already broke. */
export interface ReadObject {
  readonly object: KubeObject;
  readonly errors: readonly FieldError[];
}

/**
 * Reads a body as an object of this resource. Throws 400 for mistyped fields, and for unknown ones where the write is Strict;
 * gives a warning for each where it is Warn.
 */
export function readObject(body: unknown, resource: Resource, options: WriteOptions): ReadObject {
  const record = asRecord(body);
  if (record === undefined)
    throw new StatusError(badRequest(`couldn't get version/kind; json parse error: a ${resource.kind} must be a JSON object`));
  const apiVersion = groupVersion(resource);
  checkName("API version", record["apiVersion"], apiVersion);
  checkName("kind", record["kind"], resource.kind);
  const { value, problems } = decode({ ...record, apiVersion, kind: resource.kind, metadata: record["metadata"] ?? {} }, resource.typeName);
  const object = value as KubeObject; // decode gives what the schema says of this resource's type
  refuseMistyped(problems, resource, apiVersion);
  judgeUnknown(problems, resource, apiVersion, options);
  return { object: { ...object, apiVersion, kind: resource.kind, metadata: object.metadata ?? {} }, errors: problems.flatMap(brokenRule) };
}

/** Says what of an object has no effect here (not what `old` said already), and gives what is refused. */
export function support(object: KubeObject, old: KubeObject | undefined, options: WriteOptions): FieldError[] {
  const { warnings, refusals } = checkSupport(object);
  if (warnings.length > 0 && options.onWarning !== undefined) {
    const known = new Set(old === undefined ? [] : checkSupport(old).warnings.map(({ path }) => path));
    for (const { path, message } of warnings) if (!known.has(path)) options.onWarning(`${path}: ${message}`);
  }
  return refusals.map(({ path, message }) => prohibitedField(path, message));
}

/** Throws 422 with a cause for each broken rule, if there is one. */
export function refuseInvalid(resource: Resource, name: string, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw new StatusError(invalidStatus(resource, name, errors));
}

function checkName(what: string, given: unknown, wanted: string): void {
  if (given === undefined || given === "" || given === wanted) return;
  throw new StatusError(
    badRequest(
      `the ${what} in the data (${typeof given === "string" ? given : "which is no text"}) does not match the expected ${what} (${wanted})`,
    ),
  );
}

function refuseMistyped(problems: readonly Problem[], resource: Resource, apiVersion: string): void {
  const mistyped = problems.filter(({ kind }) => kind === "type" || kind === "format");
  if (mistyped.length > 0) throw cannotHandle(resource, apiVersion, mistyped.map(({ path, message }) => `${path}: ${message}`).join(", "));
}

function judgeUnknown(problems: readonly Problem[], resource: Resource, apiVersion: string, options: WriteOptions): void {
  const validation = options.fieldValidation ?? "Warn";
  if (validation === "Ignore") return;
  const texts = problems.filter(({ kind }) => kind === "unknown").map(({ path }) => `unknown field ${JSON.stringify(path)}`);
  if (texts.length === 0) return;
  if (validation === "Strict") throw cannotHandle(resource, apiVersion, `strict decoding error: ${texts.join(", ")}`);
  for (const text of texts) options.onWarning?.(text);
}

function cannotHandle(resource: Resource, apiVersion: string, why: string): StatusError {
  return new StatusError(
    badRequest(`${resource.kind} in version ${JSON.stringify(apiVersion)} cannot be handled as a ${resource.kind}: ${why}`),
  );
}

/** Upstream answers a missing or unknown value among broken rules; a status is taken as it is. */
function brokenRule({ kind, path, message }: Problem): FieldError[] {
  if (path.startsWith("status")) return [];
  if (kind === "missing") return [requiredField(path)];
  if (kind === "enum") return [{ type: "FieldValueNotSupported", field: path, detail: message, message: `${path}: ${message}` }];
  return [];
}
