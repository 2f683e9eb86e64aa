import assert from "node:assert/strict";
import { test } from "node:test";
import { resources } from "@peapod/api";
import { streams } from "./streams.ts";

test("streams has each subresource that takes and gives no objects, and no other", () => {
  const named = resources.flatMap(({ plural, subresources }) =>
    subresources.filter((below) => below.write === undefined).map(({ name }) => `${plural}/${name}`),
  );
  assert.deepEqual(Object.keys(streams).sort(), named.sort());
});
