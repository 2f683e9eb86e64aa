import assert from "node:assert/strict";
import { test } from "node:test";
import type { PodSpec } from "../generated.ts";
import { lastingRoles, podContainers } from "./containers.ts";

const spec: PodSpec = {
  initContainers: [{ name: "prepare" }, { name: "proxy", restartPolicy: "Always" }, { name: "migrate" }],
  containers: [{ name: "web" }, { name: "side" }],
  ephemeralContainers: [{ name: "look" }],
};

test("podContainers() gives every container of the three lists with its role, name and path, in the order in which they begin", () => {
  assert.deepEqual(
    podContainers(spec).map(({ role, name, path }) => `${path} ${role} ${name}`),
    [
      "spec.initContainers[0] init prepare",
      "spec.initContainers[1] sidecar proxy",
      "spec.initContainers[2] init migrate",
      "spec.containers[0] application web",
      "spec.containers[1] application side",
      "spec.ephemeralContainers[0] ephemeral look",
    ],
  );
});

test("podContainers() gives those of some roles, under the path of a template", () => {
  const paths = podContainers(spec, ["sidecar"], "template.spec").map(({ path }) => path);
  assert.deepEqual(paths, ["template.spec.initContainers[1]"]);
  assert.equal(podContainers(spec, lastingRoles).length, 5);
});

test("podContainers() finds nothing in a spec that is not there, or lacks its lists", () => {
  assert.deepEqual(podContainers(undefined), []);
  assert.deepEqual(podContainers({}), []);
});
