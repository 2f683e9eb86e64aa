import assert from "node:assert/strict";
import { test } from "node:test";
import { containerSpecHash } from "./spec-hash.ts";

test("containerSpecHash() changes with the image alone", () => {
  const hash = containerSpecHash({ name: "web", image: "app:1" });
  assert.equal(containerSpecHash({ name: "web", image: "app:1", args: ["x"] }), hash);
  assert.notEqual(containerSpecHash({ name: "web", image: "app:2" }), hash);
});
