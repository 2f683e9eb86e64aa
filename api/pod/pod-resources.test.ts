import assert from "node:assert/strict";
import { test } from "node:test";
import type { Container, Pod } from "../generated.ts";
import { containerResources, cpuQuotaMicros, cpuShares, oomScoreAdj, podResources, qosClass } from "./pod-resources.ts";

type Amounts = { requests?: Record<string, string>; limits?: Record<string, string> };
const container = (resources: Amounts): Container => ({ name: "a", resources });
const pod = (...resources: Amounts[]): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {},
  spec: { containers: resources.map(container) },
});
const full = { cpu: "1", memory: "1Gi" };

const classes: [does: string, pod: Pod, want: string][] = [
  ["no resources at all", pod({}, {}), "BestEffort"],
  ["only a request of nothing", pod({ requests: { cpu: "0" } }), "BestEffort"],
  ["only ephemeral storage", pod({ limits: { "ephemeral-storage": "1Gi" } }), "BestEffort"],
  ["limits for all", pod({ limits: full }, { limits: full, requests: full }), "Guaranteed"],
  ["equal amounts written differently", pod({ limits: full, requests: { cpu: "1000m", memory: "1024Mi" } }), "Guaranteed"],
  ["a request under its limit", pod({ limits: full, requests: { ...full, cpu: "500m" } }), "Burstable"],
  ["a request of nothing under its limit", pod({ limits: full, requests: { cpu: "0" } }), "Burstable"],
  ["a limit of only memory", pod({ limits: { memory: "1Gi" } }), "Burstable"],
  ["one container without limits", pod({ limits: full }, {}), "Burstable"],
];
for (const [does, given, want] of classes) test(`qosClass() calls a pod with ${does} ${want}`, () => assert.equal(qosClass(given), want));

test("qosClass() counts init containers", () => {
  const given = pod({ limits: full });
  assert.equal(qosClass({ ...given, spec: { containers: given.spec?.containers ?? [], initContainers: [container({})] } }), "Burstable");
});

test("containerResources() takes a limit for a missing request", () => {
  assert.deepEqual(containerResources(container({ limits: full, requests: { cpu: "250m" } })), {
    cpuRequestMilli: 250,
    cpuLimitMilli: 1000,
    memoryRequestBytes: 2 ** 30,
    memoryLimitBytes: 2 ** 30,
  });
  assert.deepEqual(containerResources({ name: "a" }), {
    cpuRequestMilli: undefined,
    cpuLimitMilli: undefined,
    memoryRequestBytes: undefined,
    memoryLimitBytes: undefined,
  });
});

test("podResources() adds requests up, and limits only where every container has one", () => {
  assert.deepEqual(podResources(pod({ limits: full }, { limits: { memory: "1Gi" }, requests: { cpu: "1" } })), {
    cpuRequestMilli: 2000,
    cpuLimitMilli: undefined,
    memoryRequestBytes: 2 ** 31,
    memoryLimitBytes: 2 ** 31,
  });
  assert.equal(podResources(pod({})).memoryLimitBytes, undefined);
});

test("cpuShares() and cpuQuotaMicros() convert as the kubelet does", () => {
  assert.deepEqual([0, 1, 100, 250, 500, 1000, 2000, 1_000_000].map(cpuShares), [2, 2, 102, 256, 512, 1024, 2048, 262_144]);
  assert.deepEqual(
    [1, 10, 100, 1500].map((milli) => cpuQuotaMicros(milli)),
    [1000, 1000, 10_000, 150_000],
  );
  assert.equal(cpuQuotaMicros(500, 50_000), 25_000);
});

test("oomScoreAdj() ends the greediest first", () => {
  const score = (given: Pod): number => oomScoreAdj(given, given.spec?.containers[0] ?? assert.fail(), 10 * 2 ** 30);
  assert.equal(score(pod({ limits: full })), -997);
  assert.equal(score(pod({})), 1000);
  assert.equal(score(pod({ requests: { memory: "1Gi" } })), 900);
  assert.equal(score(pod({ requests: { memory: "1074Mi" } })), 896); // 104.88 thousandths count as 104
  assert.equal(score(pod({ requests: { cpu: "1" } })), 999);
  assert.equal(score(pod({ requests: { memory: "20Gi" } })), 3);
});
