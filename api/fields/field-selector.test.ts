import assert from "node:assert/strict";
import { test } from "node:test";
import { matchesFields, parseFieldSelector } from "./field-selector.ts";
import type { Event, Pod } from "../generated.ts";
import { configMaps, events, type KubeObject, namespaces, nodes, pods, type Resource, secrets } from "../index.ts";

const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "default" },
  spec: { containers: [], nodeName: "here", restartPolicy: "Never" },
  status: { phase: "Running", podIP: "10.0.0.2" },
};
const event: Event = {
  apiVersion: "v1",
  kind: "Event",
  metadata: { name: "e" },
  involvedObject: { kind: "Pod", name: "web", uid: "u" },
  reason: "Pulled",
  type: "Normal",
  source: { component: "kubelet" },
};
const namespace: KubeObject = { apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } };

const cases: [selector: string, resource: Resource, object: KubeObject, want: boolean][] = [
  ["", pods, pod, true],
  ["metadata.name=web", pods, pod, true],
  ["metadata.name==web,metadata.namespace=default", pods, pod, true],
  ["metadata.name!=web", pods, pod, false],
  ["status.phase!=Succeeded,status.phase!=Failed", pods, pod, true],
  ["spec.nodeName=here", pods, pod, true],
  ["spec.nodeName=", pods, pod, false],
  ["spec.hostNetwork=false", pods, pod, true],
  ["status.podIP=10.0.0.2", pods, pod, true],
  ["status.nominatedNodeName=", pods, pod, true],
  ["involvedObject.name=web,involvedObject.uid=u,reason=Pulled", events, event, true],
  ["source=kubelet,type=Normal", events, event, true],
  ["reportingComponent=", events, event, true],
  ["metadata.name=a\\,b", pods, pod, false],
  ["name=default", namespaces, namespace, true],
  ["status.phase=", namespaces, namespace, true],
  ["type=Opaque", secrets, { apiVersion: "v1", kind: "Secret", metadata: { name: "s" } }, false],
  ["spec.unschedulable=false", nodes, { apiVersion: "v1", kind: "Node", metadata: { name: "n" } }, true],
];
for (const [selector, resource, object, want] of cases) {
  test(`matchesFields() says ${want} to "${selector}" of a ${object.kind}`, () =>
    assert.equal(matchesFields(parseFieldSelector(selector, resource), object), want));
}

test("parseFieldSelector() reads escaped commas and equals signs", () => {
  assert.deepEqual(parseFieldSelector("metadata.name=a\\,b\\=c\\\\", pods), [{ field: "metadata.name", equal: true, value: "a,b=c\\" }]);
});

test("parseFieldSelector() refuses fields that a kind cannot be selected by, in upstream's words", () => {
  assert.throws(() => parseFieldSelector("spec.foo=1", pods), { name: "SelectorError", message: "field label not supported: spec.foo" });
  assert.throws(() => parseFieldSelector("status.phase=x", configMaps), /field label not supported: status.phase/);
  assert.throws(() => parseFieldSelector("nonsense", pods), { message: "invalid selector: 'nonsense'; can't understand 'nonsense'" });
});
