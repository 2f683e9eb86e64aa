import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "../generated.ts";
import { graceSeconds, isPodTerminal } from "./pod-predicates.ts";

const pod: Pod = { apiVersion: "v1", kind: "Pod", metadata: {}, spec: { containers: [] } };

test("isPodTerminal() knows the phases that never end", () => {
  const terminal = (["Pending", "Running", "Succeeded", "Failed", "Unknown"] as const).filter((phase) =>
    isPodTerminal({ ...pod, status: { phase } }),
  );
  assert.deepEqual(terminal, ["Succeeded", "Failed"]);
  assert.equal(isPodTerminal(pod), false);
});

test("graceSeconds() takes the deletion's, then the pod's own, then 30", () => {
  const own = { ...pod, spec: { containers: [], terminationGracePeriodSeconds: 7 } };
  assert.equal(graceSeconds(pod), 30);
  assert.equal(graceSeconds(own), 7);
  assert.equal(graceSeconds({ ...own, metadata: { deletionGracePeriodSeconds: 0 } }), 0);
  assert.equal(graceSeconds({ ...pod, spec: { containers: [], terminationGracePeriodSeconds: -5 } }), 1);
});
