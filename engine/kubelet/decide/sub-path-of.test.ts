import assert from "node:assert/strict";
import { test } from "node:test";
import { subPathOf } from "./sub-path-of.ts";

const mount = { name: "disk", mountPath: "/data" };

test("subPathOf() expands the container's variables, and refuses one that it has not", () => {
  assert.equal(subPathOf(mount, {}), "");
  assert.equal(subPathOf({ ...mount, subPath: "$(A)", subPathExpr: "" }, { A: "x" }), "$(A)");
  assert.equal(subPathOf({ ...mount, subPathExpr: "logs/$(A)/$$(A)" }, { A: "x" }), "logs/x/$(A)");
  assert.throws(() => subPathOf({ ...mount, subPathExpr: "$(A)/$(B)" }, { A: "x" }), {
    code: "CONTAINER_CONFIG_INVALID",
    message: 'missing value for "B"',
  });
});
