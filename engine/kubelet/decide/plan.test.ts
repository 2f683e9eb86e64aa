import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "@peapod/api";
import fc from "fast-check";
import type { Action } from "./actions.ts";
import { planPod, podState } from "./plan.ts";
import type { ContainerMemory, ContainerSeen, Ended, PodSeen } from "./pod-seen.ts";

const pod = (spec: Partial<NonNullable<Pod["spec"]>> = {}, metadata: Partial<Pod["metadata"]> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "default", uid: "u", ...metadata },
  spec: { containers: [{ name: "web", image: "app:1" }], restartPolicy: "Always", terminationGracePeriodSeconds: 30, ...spec },
});
const sandbox = { id: "s0", attempt: 0, ready: true, isStopped: false };
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
const ended = (exitCode: number, endedAtMs = 95_000): Ended => ({
  kind: "ended",
  exitCode,
  reason: exitCode === 0 ? "Completed" : "Error",
  startedAtMs: 50_000,
  finishedAtMs: 0, // by a clock that means nothing here
  endedAtMs,
});
const memories = (memory: Partial<ContainerMemory> = {}): PodSeen["memories"] =>
  new Map([["web", { isPulling: false, specHash: "h", ...memory }]]);
const seen = (more: Partial<PodSeen> = {}): PodSeen => ({
  sandboxes: [sandbox],
  networkReady: true,
  volumes: "ready",
  containers: [container(running)],
  memories: memories(),
  retryAtMs: 0,
  deletedAtMs: 100_000,
  phase: "Running",
  isTornDown: false,
  ...more,
});
const deleted = { deletionTimestamp: "2026-01-01T00:00:00Z", deletionGracePeriodSeconds: 30 };
const base = { wanted: pod() as Pod | undefined, seen: seen(), nowMs: 100_000 };
const kill = (wholeSeconds: number, message: string, leftSeconds = wholeSeconds): Action => ({
  kind: "kill-container",
  id: "c0",
  name: "web",
  grace: { wholeSeconds, leftSeconds },
  message,
});
const start = (attempt: number, delayMs?: number): Action => ({
  kind: "start-container",
  name: "web",
  attempt,
  ...(delayMs === undefined ? {} : { backoff: { delayMs, restartedAtMs: 100_000 } }),
});
const tearDown: Action = { kind: "tear-down" };

const cases: { does: string; given?: { wanted?: Pod | undefined; seen?: PodSeen; nowMs?: number }; want: Action[] }[] = [
  { does: "does nothing when all runs", want: [] },
  {
    does: "makes everything of a new pod at once",
    given: { seen: seen({ sandboxes: [], networkReady: false, volumes: "missing", containers: [], phase: "Pending" }) },
    want: [{ kind: "create-sandbox", attempt: 0 }, { kind: "attach-network" }, { kind: "set-up-volumes" }, start(0)],
  },
  {
    does: "starts nothing before its volumes can be made",
    given: { seen: seen({ sandboxes: [], containers: [], volumes: { problems: ["configmap missing", "secret missing"] } }) },
    want: [
      { kind: "report-volumes", problem: "configmap missing" },
      { kind: "report-volumes", problem: "secret missing" },
    ],
  },
  { does: "brings volumes up to date", given: { seen: seen({ volumes: "stale" }) }, want: [{ kind: "set-up-volumes" }] },
  { does: "connects an adopted sandbox again", given: { seen: seen({ networkReady: false }) }, want: [{ kind: "attach-network" }] },
  {
    does: "restarts a container that ended for the first time at once",
    given: { seen: seen({ containers: [container(ended(1))] }) },
    want: [start(1, 10_000)],
  },
  {
    does: "waits out the back-off",
    given: {
      seen: seen({ containers: [container(ended(1))], memories: memories({ backoff: { delayMs: 10_000, restartedAtMs: 90_000 } }) }),
    },
    want: [{ kind: "wait", untilMs: 105_000 }],
  },
  {
    does: "doubles the back-off at each restart",
    given: {
      seen: seen({
        containers: [container(ended(1, 60_000))],
        memories: memories({ backoff: { delayMs: 20_000, restartedAtMs: 50_000 } }),
      }),
    },
    want: [start(1, 40_000)],
  },
  {
    does: "keeps the back-off at 300 seconds",
    given: {
      nowMs: 500_000,
      seen: seen({
        containers: [container(ended(1, 100_000))],
        memories: memories({ backoff: { delayMs: 300_000, restartedAtMs: 50_000 } }),
      }),
    },
    want: [{ ...start(1), backoff: { delayMs: 300_000, restartedAtMs: 500_000 } } as Action],
  },
  {
    does: "forgets the back-off of a container that ran for ten minutes",
    given: {
      nowMs: 700_000,
      seen: seen({
        containers: [container(ended(1, 699_000))],
        memories: memories({ backoff: { delayMs: 160_000, restartedAtMs: 50_000 } }),
      }),
    },
    want: [{ ...start(1), backoff: { delayMs: 10_000, restartedAtMs: 700_000 } } as Action],
  },
  {
    does: "leaves a success alone under OnFailure while another runs",
    given: {
      wanted: pod({ restartPolicy: "OnFailure", containers: [{ name: "web" }, { name: "side" }] }),
      seen: seen({ containers: [container(ended(0)), container(running, { name: "side" })] }),
    },
    want: [],
  },
  {
    does: "starts nothing while its image is pulled",
    given: { seen: seen({ containers: [], memories: memories({ isPulling: true }) }) },
    want: [],
  },
  {
    does: "waits after a failed start",
    given: {
      seen: seen({ containers: [], memories: memories({ failure: { reason: "CreateContainerError", message: "", retryAtMs: 101_000 } }) }),
    },
    want: [{ kind: "wait", untilMs: 101_000 }],
  },
  {
    does: "waits after trouble with the pod as a whole",
    given: { seen: seen({ containers: [], retryAtMs: 101_000 }) },
    want: [{ kind: "wait", untilMs: 101_000 }],
  },
  {
    does: "kills a container whose definition changed",
    given: { seen: seen({ memories: memories({ specHash: "other" }) }) },
    want: [kill(30, "Container web definition changed, will be restarted")],
  },
  {
    does: "starts it anew without a back-off, whatever the policy",
    given: {
      wanted: pod({ restartPolicy: "Never" }),
      seen: seen({
        containers: [container(ended(143))],
        memories: memories({ specHash: "other", backoff: { delayMs: 300_000, restartedAtMs: 90_000 } }),
      }),
    },
    want: [start(1, 10_000)],
  },
  {
    does: "kills what runs in a dead sandbox",
    given: { seen: seen({ sandboxes: [{ ...sandbox, ready: false }] }) },
    want: [kill(30, "Stopping container web")],
  },
  {
    does: "stops a dead sandbox before it makes another",
    given: { seen: seen({ sandboxes: [{ ...sandbox, ready: false }], containers: [container(ended(137))] }) },
    want: [{ kind: "stop-sandbox", id: "s0" }],
  },
  {
    does: "makes the next sandbox and starts everything anew in it",
    given: { seen: seen({ sandboxes: [{ ...sandbox, ready: false, isStopped: true }], containers: [container(ended(137))] }) },
    want: [{ kind: "create-sandbox", attempt: 1 }, { kind: "attach-network" }, { kind: "set-up-volumes" }, start(1, 10_000)],
  },
  {
    does: "removes what a crash left created, before anything else",
    given: { seen: seen({ containers: [container({ kind: "created" })] }) },
    want: [{ kind: "remove-container", id: "c0", name: "web", attempt: 0 }],
  },
  {
    does: "keeps one dead container behind the newest",
    given: {
      seen: seen({
        containers: [container(ended(1)), container(ended(1), { id: "c1", attempt: 1 }), container(running, { id: "c2", attempt: 2 })],
      }),
    },
    want: [{ kind: "remove-container", id: "c0", name: "web", attempt: 0 }],
  },
  { does: "gives a deleted pod its grace", given: { wanted: pod({}, deleted) }, want: [kill(30, "Stopping container web")] },
  {
    does: "gives it what is left of the grace after a restart",
    given: { wanted: pod({}, deleted), nowMs: 120_000 },
    want: [kill(30, "Stopping container web", 10)],
  },
  {
    does: "gives the longest grace that the API takes",
    given: { wanted: pod({}, { ...deleted, deletionGracePeriodSeconds: 2 ** 63 }), nowMs: 120_000 },
    want: [kill(2 ** 63, "Stopping container web")],
  },
  {
    does: "does not kill twice",
    given: { wanted: pod({}, deleted), seen: seen({ containers: [container(running, { killing: { graceSeconds: 30 } })] }) },
    want: [],
  },
  {
    does: "kills again with a shorter grace",
    given: {
      wanted: pod({}, { ...deleted, deletionGracePeriodSeconds: 1 }),
      seen: seen({ containers: [container(running, { killing: { graceSeconds: 30 } })] }),
    },
    want: [kill(2, "Stopping container web")],
  },
  { does: "kills what the API has no more", given: { wanted: undefined }, want: [kill(2, "Stopping container web")] },
  {
    does: "cuts the grace short when a pod is deleted by force meanwhile",
    given: { wanted: undefined, seen: seen({ containers: [container(running, { killing: { graceSeconds: 30 } })] }) },
    want: [kill(2, "Stopping container web")],
  },
  {
    does: "tears a deleted pod down once nothing runs",
    given: { wanted: pod({}, deleted), seen: seen({ containers: [container(ended(143))] }) },
    want: [tearDown],
  },
  {
    does: "deletes the object last",
    given: { wanted: pod({}, deleted), seen: seen({ sandboxes: [], containers: [], isTornDown: true }) },
    want: [{ kind: "delete-object" }],
  },
  {
    does: "has nothing to do for a pod that is gone",
    given: { wanted: undefined, seen: seen({ sandboxes: [], containers: [], isTornDown: true }) },
    want: [],
  },
  {
    does: "starts nothing of a pod in a final phase",
    given: { seen: seen({ containers: [], phase: "Failed", sandboxes: [], volumes: "missing" }) },
    want: [],
  },
  {
    does: "kills an older start that still runs before it starts another",
    given: { seen: seen({ containers: [container({ kind: "running", startedAtMs: 0 }), container(ended(1), { id: "c1", attempt: 1 })] }) },
    want: [
      { kind: "kill-container", id: "c0", name: "web", grace: { wholeSeconds: 2, leftSeconds: 2 }, message: "Stopping container web" },
    ],
  },
  {
    does: "gives back what a finished pod does not need",
    given: { wanted: pod({ restartPolicy: "Never" }), seen: seen({ containers: [container(ended(0))] }) },
    want: [{ kind: "stop-sandbox", id: "s0" }, { kind: "release-volumes" }],
  },
];

for (const { does, given, want } of cases) {
  test(`planPod() ${does}`, () => {
    const { wanted, seen: facts, nowMs } = { ...base, ...given };
    assert.deepEqual(planPod(wanted, facts, nowMs), want);
  });
}

const anyState = fc.oneof(
  fc.constant<ContainerSeen["state"]>({ kind: "created" }),
  fc.nat(200_000).map((startedAtMs): ContainerSeen["state"] => ({ kind: "running", startedAtMs })),
  fc.tuple(fc.nat(255), fc.nat(200_000)).map(([exitCode, endedAtMs]): ContainerSeen["state"] => ended(exitCode, endedAtMs)),
);
const anySeen = fc
  .record({
    sandboxes: fc.array(fc.record({ ready: fc.boolean(), isStopped: fc.boolean() }), { maxLength: 3 }),
    networkReady: fc.boolean(),
    volumes: fc.constantFrom<PodSeen["volumes"]>("missing", "stale", "ready", { problems: ["missing"] }),
    states: fc.array(anyState, { maxLength: 4 }),
    isPulling: fc.boolean(),
    specHash: fc.constantFrom("h", "other"),
    retryAtMs: fc.constantFrom(0, 150_000),
    deletedAtMs: fc.nat(200_000),
    phase: fc.constantFrom(undefined, "Pending", "Running", "Succeeded", "Failed"),
    isTornDown: fc.boolean(),
  })
  .map(({ sandboxes, states, isPulling, specHash, ...rest }): PodSeen => ({
    ...rest,
    sandboxes: sandboxes.map(({ ready, isStopped }, attempt) => ({ id: `s${attempt}`, attempt, ready: ready && !isStopped, isStopped })),
    containers: states.map((state, attempt) =>
      container(state, { id: `c${attempt}`, attempt, sandboxId: `s${Math.max(0, sandboxes.length - 1)}` }),
    ),
    memories: memories({ isPulling, specHash }),
  }));
const anyPod = fc
  .record({ restartPolicy: fc.constantFrom("Always" as const, "OnFailure" as const, "Never" as const), isDeleted: fc.boolean() })
  .map(({ restartPolicy, isDeleted }) => pod({ restartPolicy }, isDeleted ? deleted : {}));

test("planPod() starts nothing that is not wanted, and never two of one container", () => {
  fc.assert(
    fc.property(fc.option(anyPod, { nil: undefined }), anySeen, (wanted, facts) => {
      const starts = planPod(wanted, facts, 100_000).filter(({ kind }) => kind === "start-container" || kind === "create-sandbox");
      if (podState(wanted, facts) !== "wanted") assert.deepEqual(starts, []);
      if (facts.containers.some(({ state }) => state.kind === "running")) assert.deepEqual(starts, []);
      assert.ok(starts.filter(({ kind }) => kind === "start-container").length <= 1);
    }),
  );
});

test("planPod() tears nothing down while a container runs", () => {
  fc.assert(
    fc.property(fc.option(anyPod, { nil: undefined }), anySeen, (wanted, facts) => {
      const kinds = planPod(wanted, facts, 100_000).map(({ kind }) => kind);
      if (facts.containers.some(({ state }) => state.kind === "running"))
        assert.ok(!kinds.includes("tear-down") && !kinds.includes("delete-object"));
    }),
  );
});

test("planPod() comes to rest: what it asks for, done, leads to a plan of nothing or of waiting", () => {
  fc.assert(
    fc.property(fc.option(anyPod, { nil: undefined }), anySeen, (wanted, first) => {
      let facts: PodSeen = { ...first, retryAtMs: 0 };
      for (let round = 0; round < 20; round++) {
        const actions = planPod(wanted, facts, 300_000_000);
        if (actions.every(({ kind }) => kind === "wait" || kind === "delete-object" || kind === "report-volumes")) return;
        facts = actions.reduce(done, facts);
      }
      assert.fail("It goes on for ever");
    }),
  );
});

/** What the machine would show after an action went well. */
function done(facts: PodSeen, action: Action): PodSeen {
  switch (action.kind) {
    case "create-sandbox":
      return {
        ...facts,
        sandboxes: [...facts.sandboxes, { id: `s${action.attempt}`, attempt: action.attempt, ready: true, isStopped: false }],
        networkReady: false,
      };
    case "attach-network":
      return { ...facts, networkReady: true };
    case "set-up-volumes":
      return { ...facts, volumes: "ready" };
    case "release-volumes":
      return { ...facts, volumes: "missing" };
    case "start-container": {
      const specHash = facts.memories.get(action.name)?.specHash ?? "";
      return {
        ...facts,
        containers: [
          ...facts.containers,
          container(running, { id: `c${action.attempt}`, attempt: action.attempt, specHash, sandboxId: facts.sandboxes.at(-1)?.id }),
        ],
      };
    }
    case "kill-container":
      return {
        ...facts,
        containers: facts.containers.map((one) => (one.id === action.id ? { ...one, state: ended(137, 300_000_000) } : one)),
      };
    case "remove-container":
      return { ...facts, containers: facts.containers.filter(({ id }) => id !== action.id) };
    case "stop-sandbox":
      return {
        ...facts,
        sandboxes: facts.sandboxes.map((one) => (one.id === action.id ? { ...one, ready: false, isStopped: true } : one)),
      };
    case "remove-sandbox":
      return { ...facts, sandboxes: facts.sandboxes.filter(({ id }) => id !== action.id) };
    case "cancel-pulls":
      return { ...facts, memories: new Map([...facts.memories].map(([name, memory]) => [name, { ...memory, isPulling: false }])) };
    case "tear-down":
      return { ...facts, sandboxes: [], containers: [], volumes: "missing", isTornDown: true };
    case "report-volumes":
    case "delete-object":
    case "wait":
      return facts;
  }
}
