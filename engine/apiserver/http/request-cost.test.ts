import assert from "node:assert/strict";
import { test } from "node:test";
import { configMaps, pods } from "@peapod/api";
import { inProcess, minimalPod, type TestGround } from "../verbs/api-ground.fixture.ts";

const MANY = 10_000;
/** Of this process on a CPU, whatever else the machine does. In proportion to its size, each takes a tenth of it at most; squared, ten times it. */
const LIMIT_MS = 10_000;
const dry = { dryRun: true };

function list<T>(item: (index: number) => T): T[] {
  return Array.from({ length: MANY }, (_, index) => item(index));
}

const tolerations = list((index) => ({ key: `k${index}`, operator: "Exists" as const }));
const names = list((index) => ({ name: `c${index}` }));
const reversed = names.toReversed();
const finalizers = list((index) => `example.com/f${index}`);

/** Makes and patches what the test before all of them has made: a pod and a ConfigMap, each with long lists. */
const patchPod =
  (body: unknown) =>
  ({ api }: TestGround): unknown =>
    api.patch(pods, { namespace: "default", name: "pod" }, { type: "strategic", body }, dry);
const patchMap =
  (type: "json" | "strategic", body: unknown) =>
  ({ api }: TestGround): unknown =>
    api.patch(configMaps, { namespace: "default", name: "map" }, { type, body }, dry);

const cases: { does: string; request: (ground: TestGround) => unknown; fails?: RegExp }[] = [
  { does: "containers merged by name", request: patchPod({ spec: { containers: names } }), fails: /may not add or remove containers/ },
  {
    does: "containers in an order of their own",
    request: patchPod({ spec: { "$setElementOrder/containers": reversed, containers: reversed } }),
    fails: /may not add or remove containers/,
  },
  {
    does: "containers that are all deleted",
    request: patchPod({ spec: { containers: names.map(({ name }) => ({ name, $patch: "delete" })) } }),
  },
  {
    does: "finalizers merged, taken out and ordered",
    request: patchMap("strategic", {
      metadata: {
        "$setElementOrder/finalizers": finalizers.toReversed(),
        "$deleteFromPrimitiveList/finalizers": finalizers.map((name) => `${name}x`),
        finalizers: finalizers.toReversed(),
      },
    }),
  },
  {
    does: "tolerations that others come before",
    request: patchPod({ spec: { tolerations: [...list((index) => ({ key: `x${index}`, operator: "Exists" })), ...tolerations] } }),
  },
  {
    does: "insertions into a long list",
    request: patchMap("json", [
      { op: "add", path: "/x", value: Array.from({ length: 1_000_000 }, () => 0) },
      ...list(() => ({ op: "add", path: "/x/0", value: 1 })).slice(1),
    ]),
    fails: /moves more than 100000000 items of lists/,
  },
  {
    does: "containers of a new pod, ports on the host and all",
    request: ({ api }) =>
      api.create(
        pods,
        "default",
        {
          ...minimalPod("new"),
          spec: { containers: names.map(({ name }, index) => ({ name, image: "x", ports: [{ containerPort: 80, hostPort: 1 + index }] })) },
        },
        dry,
      ),
  },
  {
    does: "fields that no pod has",
    request: ({ api }) =>
      api.create(
        pods,
        "default",
        { ...minimalPod("new"), ...Object.fromEntries(names.map(({ name }) => [`terminatonGrace${name}`, 1])) },
        dry,
      ),
  },
];

test("a request costs in proportion to its size", async (context) => {
  await using ground = inProcess();
  ground.api.create(pods, "default", minimalPod("pod", { tolerations }), {});
  ground.api.create(configMaps, "default", { metadata: { name: "map", finalizers } }, {});
  for (const { does, request, fails } of cases) {
    await context.test(does, () => {
      const before = process.cpuUsage();
      if (fails === undefined) request(ground);
      else assert.throws(() => request(ground), { message: fails });
      const tookMs = process.cpuUsage(before).user / 1_000;
      assert.ok(tookMs < LIMIT_MS, `It took ${tookMs} ms of the CPU`);
    });
  }
});
