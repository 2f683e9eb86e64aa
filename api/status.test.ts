import assert from "node:assert/strict";
import { test } from "node:test";
import { invalid, required } from "./fields/field-error.ts";
import type { Status } from "./generated.ts";
import { leases } from "./kinds/lease.ts";
import { pods } from "./kinds/pod.ts";
import {
  alreadyExists,
  badRequest,
  conflict,
  expired,
  forbidden,
  internalError,
  invalidStatus,
  methodNotAllowed,
  notAcceptable,
  notFound,
  serviceUnavailable,
  success,
  timeoutStatus,
  tooLarge,
  unauthorized,
  unknownPath,
  unsupportedMediaType,
} from "./status.ts";

const cases: { does: string; status: Status; code: number; reason: string; message: string }[] = [
  { does: "notFound()", status: notFound(pods, "x"), code: 404, reason: "NotFound", message: 'pods "x" not found' },
  {
    does: "notFound() of a group",
    status: notFound(leases, "x"),
    code: 404,
    reason: "NotFound",
    message: 'leases.coordination.k8s.io "x" not found',
  },
  {
    does: "unknownPath()",
    status: unknownPath(),
    code: 404,
    reason: "NotFound",
    message: "the server could not find the requested resource",
  },
  { does: "alreadyExists()", status: alreadyExists(pods, "x"), code: 409, reason: "AlreadyExists", message: 'pods "x" already exists' },
  {
    does: "conflict()",
    status: conflict(pods, "x"),
    code: 409,
    reason: "Conflict",
    message:
      'Operation cannot be fulfilled on pods "x": the object has been modified; please apply your changes to the latest version and try again',
  },
  { does: "badRequest()", status: badRequest("why"), code: 400, reason: "BadRequest", message: "why" },
  { does: "unauthorized()", status: unauthorized(), code: 401, reason: "Unauthorized", message: "Unauthorized" },
  { does: "forbidden()", status: forbidden(pods, "x", "why"), code: 403, reason: "Forbidden", message: 'pods "x" is forbidden: why' },
  {
    does: "forbidden() without a name",
    status: forbidden(pods, "", "why"),
    code: 403,
    reason: "Forbidden",
    message: "pods is forbidden: why",
  },
  {
    does: "expired()",
    status: expired("too old resource version: 1 (5)"),
    code: 410,
    reason: "Expired",
    message: "too old resource version: 1 (5)",
  },
  {
    does: "methodNotAllowed()",
    status: methodNotAllowed(pods, "deletecollection"),
    code: 405,
    reason: "MethodNotAllowed",
    message: 'deletecollection is not supported on resources of kind "pods"',
  },
  {
    does: "notAcceptable()",
    status: notAcceptable(["application/json"]),
    code: 406,
    reason: "NotAcceptable",
    message: "only the following media types are accepted: application/json",
  },
  {
    does: "tooLarge()",
    status: tooLarge(3_145_728),
    code: 413,
    reason: "RequestEntityTooLarge",
    message: "Request entity is too large: limit is 3145728",
  },
  {
    does: "unsupportedMediaType()",
    status: unsupportedMediaType(["a", "b"]),
    code: 415,
    reason: "UnsupportedMediaType",
    message: "the body of the request was in an unknown format - accepted media types include: a, b",
  },
  { does: "internalError()", status: internalError("why"), code: 500, reason: "InternalError", message: "Internal error occurred: why" },
  { does: "serviceUnavailable()", status: serviceUnavailable("why"), code: 503, reason: "ServiceUnavailable", message: "why" },
  { does: "timeoutStatus()", status: timeoutStatus("why"), code: 504, reason: "Timeout", message: "Timeout: why" },
];
for (const { does, status, ...want } of cases) {
  test(`${does} speaks as upstream does`, () => {
    const { code, reason, message } = status;
    assert.deepEqual({ code, reason, message }, want);
    assert.deepEqual([status.kind, status.apiVersion, status.status, status.metadata], ["Status", "v1", "Failure", {}]);
  });
}

test("notFound() tells what it was about", () => {
  assert.deepEqual(notFound(leases, "x").details, { name: "x", group: "coordination.k8s.io", kind: "leases" });
});

test("invalidStatus() lists the causes, and says one rule bare and several in brackets", () => {
  const errors = [required("spec.containers[0].name"), invalid("spec.hostname", "A", "must be lower")];
  const one = invalidStatus(pods, "x", errors.slice(0, 1));
  assert.equal(one.message, 'Pod "x" is invalid: spec.containers[0].name: Required value');
  const both = invalidStatus(pods, "x", errors);
  assert.equal(
    both.message,
    'Pod "x" is invalid: [spec.containers[0].name: Required value, spec.hostname: Invalid value: "A": must be lower]',
  );
  assert.equal(both.code, 422);
  assert.deepEqual(both.details, {
    name: "x",
    kind: "Pod",
    causes: [
      { reason: "FieldValueRequired", message: "Required value", field: "spec.containers[0].name" },
      { reason: "FieldValueInvalid", message: 'Invalid value: "A": must be lower', field: "spec.hostname" },
    ],
  });
  assert.equal(
    invalidStatus(leases, "l", errors.slice(0, 1)).message,
    'Lease.coordination.k8s.io "l" is invalid: spec.containers[0].name: Required value',
  );
});

test("success() carries the details of what was deleted", () => {
  assert.deepEqual(success({ name: "x", kind: "pods", uid: "u" }), {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: { name: "x", kind: "pods", uid: "u" },
  });
});
