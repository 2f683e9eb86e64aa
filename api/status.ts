import type { Status, StatusCause, StatusDetails } from "./generated.ts";
import type { FieldError } from "./fields/field-error.ts";

/** What a status speaks about: a resource (`pods`) or a kind (`Pod`), its group and a name. */
export interface ResourceName {
  readonly group: string;
  readonly plural: string;
}

/** A status of success, as a deletion answers. */
export function success(details?: StatusDetails): Status {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", ...(details === undefined ? {} : { details }) };
}

/** Any failure. The others of this file are this with upstream's words. */
export function failure(code: number, reason: string, message: string, details?: StatusDetails): Status {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason,
    ...(details === undefined ? {} : { details }),
    code,
  };
}

/** 404: no such object. */
export function notFound(resource: ResourceName, name: string): Status {
  return failure(404, "NotFound", `${qualified(resource)} ${quote(name)} not found`, detailsOf(resource, name));
}

/** 404: no such path or kind. */
export function unknownPath(): Status {
  return failure(404, "NotFound", "the server could not find the requested resource", {});
}

/** 409: an object of that name is there. */
export function alreadyExists(resource: ResourceName, name: string): Status {
  return failure(409, "AlreadyExists", `${qualified(resource)} ${quote(name)} already exists`, detailsOf(resource, name));
}

/** 409: the object changed since it was read, or `why` else. */
export function conflict(
  resource: ResourceName,
  name: string,
  why = "the object has been modified; please apply your changes to the latest version and try again",
): Status {
  const message = `Operation cannot be fulfilled on ${qualified(resource)} ${quote(name)}: ${why}`;
  return failure(409, "Conflict", message, detailsOf(resource, name));
}

/** 422: the object breaks rules; each is a cause. `kind` is that of the object, `Pod`. */
export function invalidStatus(object: { group: string; kind: string }, name: string, errors: readonly FieldError[]): Status {
  const messages = [...new Set(errors.map((error) => error.message))];
  const text = messages.length === 1 ? messages[0] : `[${messages.join(", ")}]`;
  const kind = object.group === "" ? object.kind : `${object.kind}.${object.group}`;
  const causes: StatusCause[] = errors.map(({ type, detail, field }) => ({ reason: type, message: detail, field }));
  const details = { ...(name === "" ? {} : { name }), ...(object.group === "" ? {} : { group: object.group }), kind: object.kind, causes };
  return failure(422, "Invalid", `${kind} ${quote(name)} is invalid${errors.length === 0 ? "" : `: ${text}`}`, details);
}

/** 400: the request makes no sense. */
export function badRequest(message: string): Status {
  return failure(400, "BadRequest", message);
}

/** 401: nobody we know. */
export function unauthorized(): Status {
  return failure(401, "Unauthorized", "Unauthorized");
}

/** 403: understood and refused, for the reason that `why` says. */
export function forbidden(resource: ResourceName, name: string, why: string): Status {
  const message =
    name === "" ? `${qualified(resource)} is forbidden: ${why}` : `${qualified(resource)} ${quote(name)} is forbidden: ${why}`;
  return failure(403, "Forbidden", message, detailsOf(resource, name));
}

/** 410: the history does not reach back that far; list again. */
export function expired(message: string): Status {
  return failure(410, "Expired", message);
}

/** 405: this resource has no such verb. */
export function methodNotAllowed(resource: ResourceName, verb: string): Status {
  return failure(405, "MethodNotAllowed", `${verb} is not supported on resources of kind ${quote(qualified(resource))}`, {
    ...(resource.group === "" ? {} : { group: resource.group }),
    kind: resource.plural,
  });
}

/** 406: none of the media types asked for can be given. */
export function notAcceptable(accepted: readonly string[]): Status {
  return failure(406, "NotAcceptable", `only the following media types are accepted: ${accepted.join(", ")}`);
}

/** 413: the body is longer than `limitBytes`. */
export function tooLarge(limitBytes: number): Status {
  return failure(413, "RequestEntityTooLarge", `Request entity is too large: limit is ${limitBytes}`);
}

/** 415: a body of another type than these. */
export function unsupportedMediaType(accepted: readonly string[]): Status {
  return failure(
    415,
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`,
  );
}

/** 500: our fault. */
export function internalError(message: string): Status {
  return failure(500, "InternalError", `Internal error occurred: ${message}`, { causes: [{ message }] });
}

/** 503: not now. */
export function serviceUnavailable(message: string): Status {
  return failure(503, "ServiceUnavailable", message);
}

/** 504: it took too long. */
export function timeoutStatus(message: string, retryAfterSeconds = 0): Status {
  return failure(504, "Timeout", `Timeout: ${message}`, retryAfterSeconds === 0 ? {} : { retryAfterSeconds });
}

function qualified({ group, plural }: ResourceName): string {
  return group === "" ? plural : `${plural}.${group}`;
}

function detailsOf({ group, plural }: ResourceName, name: string): StatusDetails {
  return { ...(name === "" ? {} : { name }), ...(group === "" ? {} : { group }), kind: plural };
}

function quote(text: string): string {
  return JSON.stringify(text);
}
