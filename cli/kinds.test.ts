import assert from "node:assert/strict";
import { test } from "node:test";
import { absentKind, writtenKind } from "./kinds.ts";

const cases: { kind: string; says: RegExp }[] = [
  { kind: "Service", says: /^peapod does not have Service yet; it has Pod, ConfigMap, Secret, Namespace, ServiceAccount, PodTemplate$/ },
  {
    kind: "Deployment",
    says: /^peapod does not have Deployment yet: its spec\.template can be run as a Pod, with apiVersion: v1, kind: Pod and a /,
  },
  { kind: "CronJob", says: /its spec\.jobTemplate\.spec\.template can be run as a Pod/ },
  { kind: "Ingress", says: /^peapod does not have Ingress yet;/ },
  { kind: "PersistentVolumeClaim", says: /^peapod does not have PersistentVolumeClaim yet;/ },
  { kind: "HorizontalPodAutoscaler", says: /^peapod does not have HorizontalPodAutoscaler yet;/ },
  { kind: "Node", says: /^Node is the engine's own to write; a manifest may have Pod, / },
  { kind: "pod", says: /^unknown kind pod, did you mean Pod\?$/ },
  { kind: "Deploymnt", says: /^unknown kind Deploymnt, did you mean Deployment\? peapod does not have it yet: its spec\.template can/ },
  { kind: "Certificate", says: /^Certificate is no kind of Kubernetes'; peapod has Pod, / },
  { kind: "Serv", says: /^Serv is no kind / },
];
for (const { kind, says } of cases) test(`absentKind() of ${kind}`, () => assert.match(absentKind(kind), says));

test("writtenKind() knows the names that people write", () => {
  assert.deepEqual(
    ["pod", "po", "configmaps", "ServiceAccount", "deploy", "node", "nothing"].map((word) => writtenKind(word)?.kind),
    ["Pod", "Pod", "ConfigMap", "ServiceAccount", undefined, undefined, undefined],
  );
});
