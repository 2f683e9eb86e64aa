import assert from "node:assert/strict";
import { test } from "node:test";
import { commands } from "../cli/commands.ts";
import { engineOptions } from "../engine/config.ts";

test("peapod serve takes every option of the engine, and no other", () => {
  const serve = commands.find(({ name }) => name === "serve");
  assert.deepEqual(serve?.flags.map(({ name }) => name).toSorted(), engineOptions.map(({ flag }) => flag).toSorted());
});
