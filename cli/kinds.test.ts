import assert from "node:assert/strict";
import { test } from "node:test";
import { absentKind, writtenKind } from "./kinds.ts";

const cases: { kind: string; says: RegExp }[] = [
  { kind: "Service", says: /^Service is not in peapod yet, which has Pod, ConfigMap, / },
  {
    kind: "Deployment",
    says: /^Deployment is not in peapod yet: its spec\.template can be run as a Pod, with apiVersion: v1, kind: Pod and a /,
  },
  { kind: "CronJob", says: /its spec\.jobTemplate\.spec\.template can be run as a Pod/ },
  { kind: "Ingress", says: /^Ingress is not in peapod yet,/ },
  { kind: "PersistentVolumeClaim", says: /^PersistentVolumeClaim is not in peapod yet,/ },
  { kind: "HorizontalPodAutoscaler", says: /^HorizontalPodAutoscaler is not in peapod yet,/ },
  { kind: "Node", says: /^Node is the engine's own to write; a manifest may have Pod, / },
  { kind: "pod", says: /^unknown kind pod, did you mean Pod\?$/ },
  { kind: "Deploymnt", says: /^unknown kind Deploymnt, did you mean Deployment\? It is not in peapod yet: its spec\.template can/ },
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
