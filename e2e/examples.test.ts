import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { eventually } from "@peapod/kit";
import { KUBECTL, peapod, startEngine, type TestEngine } from "./engine-fixture.ts";
import { type Foreground, foreground } from "./foreground.ts";
import { IMAGE } from "./pods.ts";

const folder = (name: string): string => fileURLToPath(new URL(`../examples/${name}`, import.meta.url));

/** What each example shows, by its folder. */
const examples: Readonly<Record<string, (up: Foreground, engine: TestEngine) => Promise<void>>> = {
  network: async (up) => {
    await says(up, /visitor +\| localhost:8088 says: hello from \d+\.\d+\.\d+\.\d+/, /visitor +\| localhost:8089 says: for this pod only/);
    assert.match(await (await fetch("http://127.0.0.1:8088/")).text(), /^hello from /, "the host reaches the published port");
    await assert.rejects(connected(8089), { code: "ECONNREFUSED" }, "but not the pod's loopback");
  },

  volumes: async (up, engine) => {
    await says(
      up,
      /reader +\| good morning; the writer wrote: \S.*; the password has 9 letters/,
      /refused +\| .*Read-only file system/,
      /refused +\| as it should be: this mount is read-only/,
      /memory +\| tmpfs +16\.0M .* \/fast/,
    );
    const changed = readFileSync(`${folder("volumes")}/pod.yaml`, "utf8").replace("good morning", "good evening");
    assert.match(changed, /good evening/);
    const manifest = engine.file("changed/pod.yaml", changed);
    await engine.peapod("up", "-d", manifest);
    await says(up, /reader +\| good evening; /);
  },

  processes: async (up) => {
    await says(
      up,
      /reloader +\| +1 .*(catatonit|pause)/,
      /reloader +\| wrote level=2 into the server's own file system, and sends SIGHUP to process \d+/,
      /server +\| SIGHUP: reading the configuration anew: level=2/,
    );
  },

  "three-ways": async (up) => {
    await says(
      up,
      /web +\| serving \/site on localhost:8080/,
      /writer +\| wrote page 1 into the shared volume/,
      /visitor +\| network: +http:\/\/localhost:8080 says: page \d+/,
      /visitor +\| volume: +\/site holds: page \d+/,
      /visitor +\| processes: the web server is process \d+ here, and its scripts are: visitor\.sh +web\.sh +writer\.sh/,
      /web +\| got SIGTERM from another container, ending/,
      /writer +\| got SIGTERM from another container, ending/,
    );
  },
};

test("every example is run here", () => {
  assert.deepEqual(readdirSync(folder(".")).toSorted(), Object.keys(examples).toSorted());
});

test("the examples show what they say", async (t) => {
  const engine = await startEngine(t);
  await engine.peapod("image", "pull", IMAGE);
  for (const [name, show] of Object.entries(examples)) await t.test(name, (inner) => runExample(inner, engine, name, show));
});

/** Runs an example in the foreground until it has shown what it is to show; then it is gone, by itself or by Ctrl-C. */
async function runExample(
  t: TestContext,
  engine: TestEngine,
  name: string,
  show: (up: Foreground, engine: TestEngine) => Promise<void>,
): Promise<void> {
  const up = foreground(peapod, ["up", folder(name)], engine.environment);
  t.after(() => up.interrupt());
  await show(up, engine);
  if (name === "three-ways") assert.equal(await up.ended, 0, up.said()); // its containers end by themselves
  else {
    up.interrupt();
    assert.equal(await up.ended, 130, up.said());
  }
  const left = await engine.command(KUBECTL, ["get", "pods,configmaps,secrets", "-o", "name"]);
  assert.equal(left.stdout, "", "nothing is left");
}

async function says(up: Foreground, ...wanted: readonly RegExp[]): Promise<void> {
  for (const pattern of wanted) await eventually(() => assert.match(up.said(), pattern), { withinMs: 15_000, everyMs: 50 });
}

function connected(port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect(port, "127.0.0.1");
  socket.once("error", reject);
  socket.once("connect", () => {
    socket.destroy();
    resolve();
  });
  return promise;
}
