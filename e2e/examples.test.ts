import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { eventually } from "@peapod/kit";
import { KUBECTL, peapod, startEngine, type TestEngine } from "./engine-fixture.ts";
import { type Foreground, foreground } from "./foreground.ts";
import { freePort, IMAGE } from "./pods.ts";

const folder = (name: string): string => fileURLToPath(new URL(`../examples/${name}`, import.meta.url));

/** An example that runs: what it says, its own copy of the manifests, the engine, and the ports it has instead of 8088 and 8089. */
interface Running {
  readonly up: Foreground;
  readonly manifests: string;
  readonly engine: TestEngine;
  readonly ports: readonly [number, number];
}

/** What each example shows, by its folder. */
const examples: Readonly<Record<string, (running: Running) => Promise<void>>> = {
  network: async ({ up, ports: [published, own] }) => {
    await says(up, /visitor +\| localhost:\d+ says: hello from \d+\.\d+\.\d+\.\d+/, /visitor +\| localhost:\d+ says: for this pod only/);
    assert.match(await (await fetch(`http://127.0.0.1:${published}/`)).text(), /^hello from /, "the host reaches the published port");
    await assert.rejects(connected(own), { code: "ECONNREFUSED" }, "but not the pod's loopback");
  },

  volumes: async ({ up, engine, manifests }) => {
    await says(
      up,
      /reader +\| good morning; the writer wrote: \S.*; the password has 9 letters/,
      /refused +\| .*Read-only file system/,
      /refused +\| as it should be: this mount is read-only/,
      /memory +\| tmpfs +16\.0M .* \/fast/,
    );
    const path = join(manifests, "pod.yaml");
    writeFileSync(path, readFileSync(path, "utf8").replace("good morning", "good evening"));
    await engine.peapod("up", "-d", manifests);
    await says(up, /reader +\| good evening; /);
  },

  processes: async ({ up }) => {
    await says(
      up,
      /reloader +\| +1 .*(catatonit|pause)/,
      /reloader +\| wrote level=2 into the server's own file system, and sends SIGHUP to process \d+/,
      /server +\| SIGHUP: reading the configuration anew: level=2/,
    );
  },

  "three-ways": async ({ up }) => {
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
async function runExample(t: TestContext, engine: TestEngine, name: string, show: (running: Running) => Promise<void>): Promise<void> {
  const ports = [await freePort(), await freePort()] as const; // somebody else may have the ones in the file
  for (const file of readdirSync(folder(name))) {
    const text = readFileSync(join(folder(name), file), "utf8");
    engine.file(`examples/${name}/${file}`, text.replaceAll("8088", String(ports[0])).replaceAll("8089", String(ports[1])));
  }
  const manifests = join(engine.stateDir, "../examples", name);
  const up = foreground(peapod, ["up", manifests], engine.environment);
  t.after(() => up.interrupt());
  await show({ up, manifests, engine, ports });
  const endsItself = name === "three-ways";
  if (!endsItself) up.interrupt();
  assert.equal(await up.ended, endsItself ? 0 : 130, up.said());
  for (const [line] of up.said().matchAll(/^\* .* exited with (?!0).*$/gm)) assert.fail(`Its containers end politely: ${line}`);
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
