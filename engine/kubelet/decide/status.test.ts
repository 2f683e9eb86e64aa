import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod, PodStatus } from "@peapod/api";
import fc from "fast-check";
import type { ContainerSeen, Ended, PodSeen } from "./pod-seen.ts";
import { goDuration, podStatus, type StatusFacts } from "./status.ts";

type Phase = NonNullable<PodStatus["phase"]>;

const facts: StatusFacts = {
  hostIP: "10.0.0.1",
  podIP: "10.0.0.2",
  runtimeName: "runc",
  images: new Map([["c0", { image: "app:1", imageId: "sha256:abc" }]]),
  nowMs: 100_000,
  monotonicMs: 5_000,
};
const pod = (spec: Partial<NonNullable<Pod["spec"]>> = {}, metadata: Partial<Pod["metadata"]> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "default", uid: "u", generation: 3, ...metadata },
  spec: { containers: [{ name: "web", image: "app:1" }], restartPolicy: "Always", ...spec },
});
const container = (state: ContainerSeen["state"], more: Partial<ContainerSeen> = {}): ContainerSeen => ({
  id: "c0",
  name: "web",
  attempt: 0,
  specHash: "h",
  sandboxId: "s0",
  state,
  ...more,
});
const running: ContainerSeen["state"] = { kind: "running", startedAtMs: 50_000 };
const ended = (exitCode: number, more: Partial<Ended> = {}): Ended => ({
  kind: "ended",
  exitCode,
  reason: exitCode === 0 ? "Completed" : "Error",
  startedAtMs: 50_000,
  finishedAtMs: 95_000,
  endedAtMs: 0,
  ...more,
});
const seen = (more: Partial<PodSeen> = {}): PodSeen => ({
  sandboxes: [{ id: "s0", attempt: 0, ready: true, isStopped: false }],
  networkReady: true,
  volumes: "ready",
  containers: [container(running)],
  memories: new Map([["web", { isPulling: false, specHash: "h" }]]),
  retryAtMs: 0,
  deletedAtMs: undefined,
  phase: undefined,
  isTornDown: false,
  ...more,
});
const failing = (reason: string): PodSeen["memories"] =>
  new Map([["web", { isPulling: false, specHash: "h", failure: { reason, message: "why", retryAtMs: 0 } }]]);
const deleted = { deletionTimestamp: "2026-01-01T00:00:00Z" };
const two = [{ name: "web" }, { name: "side" }];

const phases: { does: string; wanted?: Pod; facts?: PodSeen; previous?: PodStatus; want: Phase }[] = [
  { does: "all run", want: "Running" },
  { does: "nothing was started", facts: seen({ containers: [] }), want: "Pending" },
  { does: "one was not started yet", wanted: pod({ containers: two }), want: "Pending" },
  { does: "one ended and will start again", facts: seen({ containers: [container(ended(1))] }), want: "Running" },
  {
    does: "its image cannot be pulled for a restart",
    facts: seen({ containers: [container(ended(1))], memories: failing("ImagePullBackOff") }),
    want: "Running",
  },
  {
    does: "all ended well under Never",
    wanted: pod({ restartPolicy: "Never" }),
    facts: seen({ containers: [container(ended(0))] }),
    want: "Succeeded",
  },
  {
    does: "one ended badly under Never",
    wanted: pod({ restartPolicy: "Never" }),
    facts: seen({ containers: [container(ended(1))] }),
    want: "Failed",
  },
  {
    does: "one ended under Never and one runs",
    wanted: pod({ restartPolicy: "Never", containers: two }),
    facts: seen({ containers: [container(ended(1)), container(running, { id: "c1", name: "side" })] }),
    want: "Running",
  },
  {
    does: "one ended badly under OnFailure",
    wanted: pod({ restartPolicy: "OnFailure" }),
    facts: seen({ containers: [container(ended(1))] }),
    want: "Running",
  },
  { does: "it was Succeeded once", facts: seen({ phase: "Succeeded" }), previous: { phase: "Succeeded" }, want: "Succeeded" },
  { does: "it is deleted and still runs", wanted: pod({}, deleted), want: "Running" },
  {
    does: "it is deleted and ended with 143",
    wanted: pod({}, deleted),
    facts: seen({ containers: [container(ended(143))] }),
    want: "Failed",
  },
  {
    does: "it is deleted and ended with 0",
    wanted: pod({}, deleted),
    facts: seen({ containers: [container(ended(0))] }),
    want: "Succeeded",
  },
  { does: "it is deleted and never ran", wanted: pod({}, deleted), facts: seen({ containers: [] }), want: "Failed" },
];

for (const { does, wanted = pod(), facts: given = seen(), previous = {}, want } of phases) {
  test(`podStatus() says ${want} where ${does}`, () => {
    assert.equal(podStatus(wanted, given, previous, facts).phase, want);
  });
}

test("podStatus() describes a running pod as upstream does", () => {
  assert.deepEqual(podStatus(pod(), seen(), {}, facts), {
    observedGeneration: 3,
    phase: "Running",
    conditions: ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map((type) => ({
      type,
      observedGeneration: 3,
      status: "True",
      lastTransitionTime: "1970-01-01T00:01:40Z",
    })),
    hostIP: "10.0.0.1",
    hostIPs: [{ ip: "10.0.0.1" }],
    podIP: "10.0.0.2",
    podIPs: [{ ip: "10.0.0.2" }],
    startTime: "1970-01-01T00:01:40Z",
    containerStatuses: [
      {
        name: "web",
        state: { running: { startedAt: "1970-01-01T00:00:50Z" } },
        lastState: {},
        ready: true,
        restartCount: 0,
        image: "app:1",
        imageID: "sha256:abc",
        containerID: "runc://c0",
        started: true,
        resources: {},
      },
    ],
    qosClass: "BestEffort",
  });
});

test("podStatus() says what a container was given and what it mounts", () => {
  const resources = { limits: { memory: "64Mi" }, requests: { cpu: "100m", memory: "64Mi" } };
  const volumeMounts = [
    { name: "data", mountPath: "/data" },
    { name: "config", mountPath: "/config", readOnly: true, subPath: "a" },
  ];
  const wanted = pod({ containers: [{ name: "web", image: "app:1", resources, volumeMounts }] });
  const mounts = [
    { name: "data", mountPath: "/data" },
    { name: "config", mountPath: "/config", readOnly: true, recursiveReadOnly: "Disabled" },
  ];
  const [made] = podStatus(wanted, seen(), {}, facts).containerStatuses ?? [];
  assert.deepEqual([made?.resources, made?.allocatedResources, made?.volumeMounts], [resources, resources.requests, mounts]);
  const [waiting] = podStatus(wanted, seen({ containers: [] }), {}, facts).containerStatuses ?? [];
  assert.deepEqual([waiting?.resources, waiting?.allocatedResources, waiting?.volumeMounts], [undefined, undefined, mounts]);
});

const states: { does: string; wanted?: Pod; facts: PodSeen; want: object; lastExitCode?: number }[] = [
  { does: "before the first start", facts: seen({ containers: [] }), want: { waiting: { reason: "ContainerCreating" } } },
  {
    does: "with the reason a start failed",
    facts: seen({ containers: [], memories: failing("ErrImagePull") }),
    want: { waiting: { reason: "ErrImagePull", message: "why" } },
  },
  {
    does: "in a crash loop",
    facts: seen({
      containers: [container(ended(2))],
      memories: new Map([["web", { isPulling: false, specHash: "h", backoff: { delayMs: 80_000, restartedAtMs: -5_000 } }]]),
    }),
    want: { waiting: { reason: "CrashLoopBackOff", message: "back-off 1m20s restarting failed container=web pod=web_default(u)" } },
    lastExitCode: 2,
  },
  {
    does: "whose process could not start",
    facts: seen({ containers: [container(ended(128, { reason: "StartError", message: "no such file" }))] }),
    want: { waiting: { reason: "RunContainerError", message: "no such file" } },
    lastExitCode: 128,
  },
  {
    does: "that was killed for want of memory",
    wanted: pod({ restartPolicy: "Never" }),
    facts: seen({ containers: [container(ended(137, { reason: "OOMKilled" }))] }),
    want: {
      terminated: {
        exitCode: 137,
        reason: "OOMKilled",
        startedAt: "1970-01-01T00:00:50Z",
        finishedAt: "1970-01-01T00:01:35Z",
        containerID: "runc://c0",
      },
    },
  },
  {
    does: "that was restarted",
    facts: seen({ containers: [container(ended(3)), container(running, { id: "c1", attempt: 1 })] }),
    want: { running: { startedAt: "1970-01-01T00:00:50Z" } },
    lastExitCode: 3,
  },
];

for (const { does, wanted = pod(), facts: given, want, lastExitCode } of states) {
  test(`podStatus() shows the state of a container ${does}`, () => {
    const status = podStatus(wanted, given, {}, facts).containerStatuses?.[0];
    assert.deepEqual(status?.state, want);
    assert.equal(status?.lastState?.terminated?.exitCode, lastExitCode);
  });
}

test("podStatus() keeps the moment of a transition, and what others have set", () => {
  const gate = { type: "example.org/gate", status: "False", lastTransitionTime: "2026-01-01T00:00:00Z" };
  const first = { ...podStatus(pod(), seen(), {}, facts) };
  const later = podStatus(
    pod(),
    seen({ containers: [container(ended(1))] }),
    { ...first, conditions: [...(first.conditions ?? []), gate] },
    { ...facts, nowMs: 200_000 },
  );
  const times = Object.fromEntries((later.conditions ?? []).map(({ type, lastTransitionTime }) => [type, lastTransitionTime]));
  assert.deepEqual(times, {
    PodReadyToStartContainers: "1970-01-01T00:01:40Z",
    Initialized: "1970-01-01T00:01:40Z",
    Ready: "1970-01-01T00:03:20Z",
    ContainersReady: "1970-01-01T00:03:20Z",
    PodScheduled: "1970-01-01T00:01:40Z",
    "example.org/gate": "2026-01-01T00:00:00Z",
  });
  assert.equal(later.startTime, first.startTime);
  assert.equal(later.conditions?.find(({ type }) => type === "Ready")?.message, "containers with unready status: [web]");
});

test("podStatus() holds Ready back for a readiness gate", () => {
  const gated = pod({ readinessGates: [{ conditionType: "example.org/gate" }] });
  const ready = (status: PodStatus): string | undefined => status.conditions?.find(({ type }) => type === "Ready")?.status;
  assert.equal(ready(podStatus(gated, seen(), {}, facts)), "False");
  assert.equal(ready(podStatus(gated, seen(), { conditions: [{ type: "example.org/gate", status: "True" }] }, facts)), "True");
});

test("podStatus() counts restarts on from what was known", () => {
  const previous = { containerStatuses: [{ name: "web", restartCount: 7, ready: false, image: "app:1", imageID: "sha256:old" }] };
  const status = podStatus(pod(), seen({ containers: [] }), previous, facts).containerStatuses?.[0];
  assert.equal(status?.restartCount, 7);
  assert.equal(status?.imageID, "sha256:old");
});

test("podStatus() never leaves a final phase, and is the same when asked twice", () => {
  const anyContainers = fc.array(
    fc.oneof(
      fc.constant(running),
      fc.nat(255).map((code): ContainerSeen["state"] => ended(code)),
    ),
    { maxLength: 3 },
  );
  fc.assert(
    fc.property(fc.constantFrom("Succeeded" as const, "Failed" as const, "Running" as const), anyContainers, (phase, list) => {
      const given = seen({ phase, containers: list.map((state, attempt) => container(state, { id: `c${attempt}`, attempt })) });
      const status = podStatus(pod(), given, { phase }, facts);
      if (phase !== "Running") assert.equal(status.phase, phase);
      assert.deepEqual(podStatus(pod(), given, status, facts), status);
    }),
  );
});

for (const [ms, text] of [
  [10_000, "10s"],
  [80_000, "1m20s"],
  [160_000, "2m40s"],
  [300_000, "5m0s"],
  [0, "0s"],
  [250.7, "250ms"],
  [1_500, "1.5s"],
  [3_600_000, "1h0m0s"],
] as const) {
  test(`goDuration() writes ${ms} ms as ${text}`, () => assert.equal(goDuration(ms), text));
}
