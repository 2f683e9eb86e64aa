import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ContainerStatus,
  configMaps,
  events,
  type KubeObject,
  leases,
  namespaces,
  nodes,
  type Pod,
  pods,
  type Resource,
  secrets,
  serviceAccounts,
} from "@peapod/api";
import { toTable } from "./table.ts";

// What is wanted here is read from upstream: pkg/printers/internalversion/printers.go and its test.

const nowMs = Date.parse("2026-01-10T00:00:00Z");
const ago = (seconds: number): string => new Date(nowMs - seconds * 1_000).toISOString();
const options = { include: "Metadata", nowMs, metadata: { resourceVersion: "7" }, withHeaders: true, version: "v1" } as const;
const cellsOf = (resource: Resource<never>, object: unknown): unknown[] | undefined =>
  toTable([object as KubeObject], { ...options, resource: resource as unknown as Resource }).rows[0]?.cells;

const running = (name: string, more: Partial<ContainerStatus> = {}): ContainerStatus => ({
  name,
  ready: true,
  restartCount: 0,
  image: "i",
  imageID: "",
  state: { running: {} },
  ...more,
});
const waiting = (name: string, reason: string, more: Partial<ContainerStatus> = {}): ContainerStatus =>
  running(name, { ready: false, state: { waiting: { reason } }, ...more });
const ended = (name: string, exitCode: number, reason?: string, more: Partial<ContainerStatus> = {}): ContainerStatus =>
  running(name, { ready: false, state: { terminated: { exitCode, ...(reason === undefined ? {} : { reason }) } }, ...more });
const restarted = (restartCount: number, seconds: number): Partial<ContainerStatus> => ({
  restartCount,
  lastState: { terminated: { exitCode: 1, finishedAt: ago(seconds) } },
});
const ready = { type: "Ready", status: "True" };

interface Given {
  status?: NonNullable<Pod["status"]>;
  init?: { name: string; restartPolicy?: "Always" }[];
  containers?: string[];
  deleted?: boolean;
  spec?: object;
}

const podWith = ({ status = {}, init, containers = ["a", "b"], deleted, spec }: Given): unknown => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", creationTimestamp: ago(100), ...(deleted === true ? { deletionTimestamp: ago(0) } : {}) },
  spec: { containers: containers.map((name) => ({ name })), ...(init === undefined ? {} : { initContainers: init }), ...spec },
  status,
});

const podCases: { does: string; given: Given; want: [string, string, string] }[] = [
  { does: "a pod that nobody took", given: { status: { phase: "Pending" } }, want: ["0/2", "Pending", "0"] },
  {
    does: "a pod that runs",
    given: { status: { phase: "Running", containerStatuses: [running("a"), running("b")] } },
    want: ["2/2", "Running", "0"],
  },
  { does: "the reason of a status", given: { status: { phase: "Failed", reason: "Evicted" } }, want: ["0/2", "Evicted", "0"] },
  {
    does: "a gated pod",
    given: { status: { phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", reason: "SchedulingGated" }] } },
    want: ["0/2", "SchedulingGated", "0"],
  },
  {
    does: "the first container's waiting",
    given: { status: { phase: "Pending", containerStatuses: [waiting("a", "ErrImagePull"), waiting("b", "ContainerCreating")] } },
    want: ["0/2", "ErrImagePull", "0"],
  },
  {
    does: "restarts, and since when",
    given: {
      status: {
        phase: "Running",
        containerStatuses: [waiting("a", "CrashLoopBackOff", restarted(3, 300)), running("b", restarted(1, 900))],
      },
    },
    want: ["1/2", "CrashLoopBackOff", "4 (5m ago)"],
  },
  {
    does: "an exit code without a reason",
    given: { status: { phase: "Running", containerStatuses: [ended("a", 7), running("b")] } },
    want: ["1/2", "ExitCode:7", "0"],
  },
  {
    does: "a signal without a reason",
    given: {
      status: {
        phase: "Running",
        containerStatuses: [running("a", { ready: false, state: { terminated: { exitCode: 0, signal: 9 } } }), running("b")],
      },
    },
    want: ["1/2", "Signal:9", "0"],
  },
  {
    does: "completed beside running and ready as Running",
    given: { status: { phase: "Running", conditions: [ready], containerStatuses: [ended("a", 0, "Completed"), running("b")] } },
    want: ["1/2", "Running", "0"],
  },
  {
    does: "completed beside running, not ready, as NotReady",
    given: { status: { phase: "Running", containerStatuses: [ended("a", 0, "Completed"), running("b")] } },
    want: ["1/2", "NotReady", "0"],
  },
  {
    does: "all completed",
    given: { status: { phase: "Succeeded", containerStatuses: [ended("a", 0, "Completed"), ended("b", 0, "Completed")] } },
    want: ["0/2", "Completed", "0"],
  },
  {
    does: "the first container's word, as upstream (kubernetes/kubectl#1511), though another failed",
    given: { status: { phase: "Failed", containerStatuses: [ended("a", 0, "Completed"), ended("b", 1, "Error")] } },
    want: ["0/2", "Completed", "0"],
  },
  {
    does: "a deleted pod",
    given: { deleted: true, status: { phase: "Running", containerStatuses: [running("a"), running("b")] } },
    want: ["2/2", "Terminating", "0"],
  },
  {
    does: "a deleted pod that has ended",
    given: { deleted: true, status: { phase: "Succeeded", containerStatuses: [ended("a", 0, "Completed"), ended("b", 0, "Completed")] } },
    want: ["0/2", "Completed", "0"],
  },
  {
    does: "a deleted pod of a lost node",
    given: { deleted: true, status: { phase: "Running", reason: "NodeLost" } },
    want: ["0/2", "Unknown", "0"],
  },
  {
    does: "the first init container",
    given: {
      init: [{ name: "i" }, { name: "j" }],
      status: { phase: "Pending", initContainerStatuses: [running("i", { ready: false }), waiting("j", "PodInitializing")] },
    },
    want: ["0/2", "Init:0/2", "0"],
  },
  {
    does: "the second init container",
    given: {
      init: [{ name: "i" }, { name: "j" }],
      status: { phase: "Pending", initContainerStatuses: [ended("i", 0, "Completed"), waiting("j", "PodInitializing")] },
    },
    want: ["0/2", "Init:1/2", "0"],
  },
  {
    does: "an init container that crashes",
    given: {
      init: [{ name: "i" }],
      status: { phase: "Pending", initContainerStatuses: [waiting("i", "CrashLoopBackOff", restarted(2, 60))] },
    },
    want: ["0/2", "Init:CrashLoopBackOff", "2 (60s ago)"],
  },
  {
    does: "an init container that failed",
    given: { init: [{ name: "i" }], status: { phase: "Failed", initContainerStatuses: [ended("i", 3)] } },
    want: ["0/2", "Init:ExitCode:3", "0"],
  },
  {
    does: "init containers' restarts no more once they are done",
    given: {
      init: [{ name: "i" }],
      status: {
        phase: "Running",
        initContainerStatuses: [ended("i", 0, "Completed", restarted(2, 60))],
        containerStatuses: [running("a"), running("b")],
      },
    },
    want: ["2/2", "Running", "0"],
  },
  {
    does: "a sidecar as one of the containers",
    given: {
      init: [{ name: "s", restartPolicy: "Always" }],
      status: {
        phase: "Running",
        initContainerStatuses: [running("s", { started: true, ...restarted(1, 120) })],
        containerStatuses: [running("a"), running("b")],
      },
    },
    want: ["3/3", "Running", "1 (2m ago)"],
  },
  {
    does: "a sidecar that has not started",
    given: {
      init: [{ name: "s", restartPolicy: "Always" }],
      status: { phase: "Pending", initContainerStatuses: [running("s", { started: false, ready: false })] },
    },
    want: ["0/3", "Init:0/1", "0"],
  },
];
for (const { does, given, want } of podCases) {
  test(`toTable() shows ${does}`, () => {
    assert.deepEqual(cellsOf(pods as never, podWith(given)), ["p", ...want, "100s", "<none>", "<none>", "<none>", "<none>"]);
  });
}

test("toTable() shows where a pod is, and its gates", () => {
  const given = {
    spec: { nodeName: "n", readinessGates: [{ conditionType: "g" }, { conditionType: "h" }] },
    status: { podIPs: [{ ip: "10.0.0.2" }], conditions: [{ type: "g", status: "True" }] },
  };
  assert.deepEqual(cellsOf(pods as never, podWith(given))?.slice(5), ["10.0.0.2", "n", "<none>", "1/2"]);
});

const kinds: { resource: Resource<never>; object: object; want: unknown[] }[] = [
  { resource: configMaps as never, object: { data: { a: "", b: "" }, binaryData: { c: "" } }, want: ["x", 3, "100s"] },
  { resource: secrets as never, object: { type: "Opaque", data: { a: "" } }, want: ["x", "Opaque", 1, "100s"] },
  { resource: namespaces as never, object: { status: { phase: "Terminating" } }, want: ["x", "Terminating", "100s"] },
  { resource: serviceAccounts as never, object: {}, want: ["x", 0, "100s"] },
  { resource: leases as never, object: { spec: { holderIdentity: "me" } }, want: ["x", "me", "100s"] },
  {
    resource: nodes as never,
    object: {},
    want: ["x", "Unknown", "<none>", "100s", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"],
  },
  {
    resource: nodes as never,
    object: {
      spec: { unschedulable: true },
      status: {
        conditions: [{ type: "Ready", status: "False" }],
        addresses: [{ type: "InternalIP", address: "10.1.1.1" }],
        nodeInfo: { kubeletVersion: "v1.36.0", osImage: "Debian", kernelVersion: "6.1", containerRuntimeVersion: "peapod://0.1" },
      },
    },
    want: ["x", "NotReady,SchedulingDisabled", "<none>", "100s", "v1.36.0", "10.1.1.1", "<none>", "Debian", "6.1", "peapod://0.1"],
  },
  {
    resource: events as never,
    object: {
      type: "Normal",
      reason: "Started",
      message: " hello \n",
      count: 3,
      involvedObject: { kind: "Pod", name: "p", fieldPath: "spec" },
      source: { component: "kubelet", host: "n" },
      firstTimestamp: ago(60),
      lastTimestamp: ago(5),
    },
    want: ["5s", "Normal", "Started", "pod/p", "spec", "kubelet, n", "hello", "60s", 3, "x"],
  },
  {
    resource: events as never,
    object: {
      type: "Warning",
      reason: "R",
      message: "m",
      involvedObject: { kind: "Node" },
      reportingComponent: "c",
      eventTime: ago(60),
      series: { count: 9, lastObservedTime: ago(2) },
    },
    want: ["2s", "Warning", "R", "node", "", "c", "m", "60s", 9, "x"],
  },
];
for (const { resource, object, want } of kinds) {
  test(`toTable() shows a ${(resource as unknown as Resource).kind} as ${JSON.stringify(want)}`, () => {
    assert.deepEqual(cellsOf(resource, { metadata: { name: "x", creationTimestamp: ago(100) }, ...object }), want);
  });
}

test("toTable() sends of an object what is asked for, and headers once", () => {
  const pod = podWith({}) as KubeObject;
  const table = (more: object) => toTable([pod], { ...options, resource: pods as unknown as Resource, ...more });
  assert.deepEqual(table({}).rows[0]?.object, { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: pod.metadata });
  assert.deepEqual(table({ include: "Object" }).rows[0]?.object, pod);
  assert.equal(table({ include: "None" }).rows[0]?.object, null);
  assert.equal(table({ withHeaders: false }).columnDefinitions.length, 0);
  assert.deepEqual(
    table({}).columnDefinitions.map(({ name, priority }) => `${name}${priority === 0 ? "" : "+"}`),
    ["Name", "Ready", "Status", "Restarts", "Age", "IP+", "Node+", "Nominated Node+", "Readiness Gates+"],
  );
});
