import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "@peapod/api";
import { systemClock } from "@peapod/kit";
import { type Action, order, type Step } from "../decide/actions.ts";
import { TestNode } from "../kubelet.fixture.ts";
import { PodRecord } from "../record/pod-record.ts";
import { execute } from "./execute.ts";
import { servicesOf } from "./services.fixture.ts";
import { Steps } from "./steps.ts";
import { Turn } from "./turn.ts";
import { wantedVolumes } from "./wanted-volumes.ts";

const references = { configMaps: new Map(), secrets: new Map() };
const newPod: readonly Action[] = [
  { kind: "create-sandbox", attempt: 0 },
  { kind: "attach-network" },
  { kind: "set-up-volumes" },
  { kind: "start-container", name: "web", attempt: 0 },
];

function permutations<T>(list: readonly T[]): T[][] {
  if (list.length === 0) return [[]];
  return list.flatMap((first, index) => permutations(list.toSpliced(index, 1)).map((rest) => [first, ...rest]));
}

function heard(name: string): PodRecord {
  const record = new PodRecord({ uid: name, namespace: "default", name });
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", uid: name },
    spec: {
      volumes: [{ name: "data", emptyDir: {} }],
      containers: [{ name: "web", image: "app:1", volumeMounts: [{ name: "data", mountPath: "/data" }] }],
    },
  };
  record.heard(pod, true, systemClock);
  return record;
}

function turnOf(node: TestNode, record: PodRecord): Turn {
  const { wanted } = record;
  return new Turn(
    servicesOf(node),
    record,
    { references, volumePlans: wanted && wantedVolumes(wanted, references) },
    {
      signal: node.signal,
      engine: node.signal,
    },
  );
}

test("execute() does the same whatever the order of a plan", async () => {
  await using node = await TestNode.open();
  for (const [index, plan] of permutations(newPod).entries()) {
    const record = heard(`web-${index}`);
    const before = node.runtime.calls.length;
    const turn = turnOf(node, record);
    await execute(turn, plan);
    const said = plan.map(({ kind }) => kind).join(", ");
    const calls = node.runtime.calls.slice(before);
    assert.deepEqual(calls, [`runPodSandbox web-${index}`, "createContainer web/0", "startContainer web/0"], said);
    assert.deepEqual([turn.hasTrouble, record.containers.isRunning, record.sandboxes.isConnected], [false, true, true], said);
    const [container] = record.containers.all;
    const paths = node.runtime.configOf(container?.id ?? "").mounts.map(({ containerPath }) => containerPath);
    assert.deepEqual(paths.toSorted(), ["/data", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"], said);
  }
});

for (const missing of ["create-sandbox", "attach-network", "set-up-volumes"] as const) {
  test(`execute() starts nothing, and waits for nothing, where neither plan nor record has what ${missing} makes`, async () => {
    await using node = await TestNode.open();
    const record = heard("web");
    await execute(
      turnOf(node, record),
      newPod.filter(({ kind }) => kind !== missing),
    );
    assert.equal(record.containers.isRunning, false);
    assert.deepEqual(await node.runtime.listContainers(), []);
    assert.deepEqual(await node.images.listRootfs(), []);
  });
}

test("what actions wait for is made by one kind each, and none waits for itself", () => {
  const entries = Object.entries<{ makes?: Step; needs: readonly Step[] }>(order);
  const makersOf = (step: Step): string[] => entries.filter(([, { makes }]) => makes === step).map(([kind]) => kind);
  const waitsFor = (kind: string, path: readonly string[]): void => {
    assert.ok(!path.includes(kind), [...path, kind].join(" waits for "));
    for (const step of entries.find(([name]) => name === kind)?.[1].needs ?? []) {
      const [maker, ...others] = makersOf(step);
      assert.ok(maker !== undefined && others.length === 0, step);
      waitsFor(maker, [...path, kind]);
    }
  };
  for (const [kind] of entries) waitsFor(kind, []);
});

test("Steps gives an action what it names, and nothing else", async () => {
  const steps = new Steps([{ kind: "attach-network" }], heard("web"));
  const given = steps.given("attach-network");
  assert.deepEqual(Object.keys(given), ["sandbox"]);
  // @ts-expect-error It would be an order that nobody said.
  assert.equal(given.volumes, undefined);
  assert.equal(await given.sandbox, undefined);
});
