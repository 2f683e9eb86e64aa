import assert from "node:assert/strict";
import { test } from "node:test";
import { validateResourceField } from "./validate-resource-field.ts";

const said = (field: { resource?: string; divisor?: string }): string[] =>
  validateResourceField(field, "ref").map(({ message }) => message);

test("validateResourceField() takes the resources and units that upstream takes", () => {
  for (const field of [
    { resource: "limits.cpu" },
    { resource: "requests.cpu", divisor: "1m" },
    { resource: "limits.memory", divisor: "1024Ki" }, // is 1Mi
    { resource: "requests.ephemeral-storage", divisor: "0" },
    { resource: "limits.hugepages-2Mi", divisor: "1Mi" },
  ])
    assert.deepEqual(said(field), [], JSON.stringify(field));
});

test("validateResourceField() says what is wrong in upstream's words", () => {
  assert.match(said({})[0] ?? "", /^ref\.resource: Required value/);
  assert.match(
    said({ resource: "limits.gpu" })[0] ?? "",
    /^ref\.resource: Unsupported value: "limits\.gpu": supported values: "limits\.cpu", /,
  );
  assert.match(said({ resource: "cpu" })[0] ?? "", /^ref\.resource: Unsupported value/);
  assert.match(
    said({ resource: "limits.cpu", divisor: "1Mi" })[0] ?? "",
    /^ref\.divisor: Invalid value: "limits\.cpu": only divisor's values 1m and 1 are supported with the cpu resource$/,
  );
  assert.match(
    said({ resource: "limits.memory", divisor: "3" })[0] ?? "",
    /: only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource$/,
  );
});
