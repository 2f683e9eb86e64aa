import assert from "node:assert/strict";
import { test } from "node:test";
import { type ConfigMap, configMaps } from "@peapod/api";
import { eventually, silentLogger, systemClock } from "@peapod/kit";
import { ApiError, type Client, type WatchEvent } from "./client.ts";
import { Reflector } from "./reflector.ts";

const configMap = (name: string, resourceVersion: string, uid = name): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "default", uid, resourceVersion },
});
const gone = new ApiError({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", reason: "Expired", code: 410 });

type Step = { readonly list: readonly ConfigMap[] | Error; readonly events?: readonly (WatchEvent<ConfigMap> | Error)[] };

/** A client that answers with one step after the other; the last one's watch stays open. */
function scripted(steps: readonly Step[]): Client {
  let index = -1;
  const unused = (): never => {
    throw new Error("Not used by a reflector");
  };
  return {
    get: unused,
    create: unused,
    update: unused,
    patch: unused,
    delete: unused,
    list: (async () => {
      const { list = [] } = steps[++index] ?? {};
      if (list instanceof Error) throw list;
      return { items: [...list], resourceVersion: "1" };
    }) as Client["list"], // one kind of object alone
    watch: async function* (_resource: unknown, _where: unknown, signal: AbortSignal) {
      for (const event of steps[index]?.events ?? []) {
        if (event instanceof Error) throw event;
        yield event;
      }
      if (index < steps.length - 1) return;
      await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
    } as Client["watch"],
  };
}

async function follow(
  steps: readonly Step[],
  use: (reflector: Reflector<ConfigMap>, changes: string[]) => Promise<void>,
  slept: number[] = [],
): Promise<void> {
  const changes: string[] = [];
  const reflector: Reflector<ConfigMap> = new Reflector({
    client: scripted(steps),
    resource: configMaps,
    clock: { ...systemClock, sleep: async (ms) => void slept.push(ms) },
    log: silentLogger,
    onChange: (key, object) => changes.push(`${key} ${object.metadata.uid} ${reflector.get(key)?.metadata.resourceVersion ?? "gone"}`),
  });
  const stop = new AbortController();
  const done = reflector.run(stop.signal);
  try {
    await use(reflector, changes);
  } finally {
    stop.abort();
    await done;
  }
}

test("Reflector.run() keeps what list and watch give, and tells of each change", async () => {
  const steps: Step[] = [
    {
      list: [configMap("a", "1")],
      events: [
        { type: "ADDED", object: configMap("b", "2") },
        { type: "MODIFIED", object: configMap("a", "3") },
        { type: "DELETED", object: configMap("b", "4") },
      ],
    },
  ];
  await follow(steps, async (reflector, changes) => {
    await eventually(() => assert.deepEqual(changes, ["default/a a 1", "default/b b 2", "default/a a 3", "default/b b gone"]), {
      withinMs: 1_000,
    });
    assert.equal(reflector.isSynced, true);
    assert.deepEqual(
      [...reflector.values()].map(({ metadata }) => metadata.name),
      ["a"],
    );
  });
});

test("Reflector.run() lists anew after 410, and tells only what changed meanwhile", async () => {
  const steps: Step[] = [
    { list: [configMap("a", "1"), configMap("b", "1"), configMap("c", "1")], events: [gone] },
    { list: [configMap("a", "1"), configMap("b", "5")] },
  ];
  await follow(steps, async (_reflector, changes) => {
    await eventually(() => assert.deepEqual(changes.slice(3), ["default/b b 5", "default/c c gone"]), { withinMs: 1_000 });
  });
});

test("Reflector.run() tells of the old object's end where a new one has its name", async () => {
  const steps: Step[] = [{ list: [configMap("a", "1", "old")], events: [gone] }, { list: [configMap("a", "5", "new")] }];
  await follow(steps, async (_reflector, changes) => {
    await eventually(() => assert.deepEqual(changes.slice(1), ["default/a old 5", "default/a new 5"]), { withinMs: 1_000 });
  });
});

test("Reflector.run() tries again when a list or a watch fails", async () => {
  const steps: Step[] = [{ list: new Error("Down") }, { list: [], events: [new Error("Cut off")] }, { list: [configMap("a", "1")] }];
  await follow(steps, async (reflector) => {
    await eventually(() => reflector.get("default/a") !== undefined, { withinMs: 1_000 });
  });
});

test("Reflector.run() lists ever more seldom while it may not watch, and soon again once that works", async () => {
  const refused: Step = {
    list: [],
    events: [new ApiError({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", code: 403 })],
  };
  const works: Step = { list: [], events: [{ type: "ADDED", object: configMap("a", "2") }] };
  const slept: number[] = [];
  await follow(
    [refused, refused, refused, refused, works, { list: [] }],
    async () => await eventually(() => assert.equal(slept.length, 5), { withinMs: 1_000 }),
    slept,
  );
  assert.ok(
    slept.slice(0, 4).every((ms, index) => index === 0 || ms > (slept[index - 1] ?? 0)),
    slept.join(),
  );
  assert.ok((slept[4] ?? 0) < (slept[1] ?? 0), slept.join());
});
