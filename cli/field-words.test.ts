import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldWords } from "./field-words.ts";

test("fieldWords() offers kinds, then one step of a path at a time", () => {
  assert.deepEqual(fieldWords("po").slice(0, 2), ["pod.", "configmap."]);
  const top = fieldWords("pod.");
  assert.ok(
    ["pod.metadata.", "pod.spec."].every((word) => top.includes(word)),
    top.join(" "),
  );
  const container = fieldWords("pod.spec.containers.im");
  assert.ok(container.includes("pod.spec.containers.image") && container.includes("pod.spec.containers.ports."), container.join(" "));
  assert.ok(container.every((word) => word.startsWith("pod.spec.containers.")));
  assert.equal(new Set(container).size, container.length);
  assert.deepEqual([fieldWords("pod.nothing.x"), fieldWords("deploy.spec")], [[], []]);
});
