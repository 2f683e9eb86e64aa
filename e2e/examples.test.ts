import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { startEngine } from "./engine-fixture.ts";
import { exampleFolder, type RunningExample, runExample, says } from "./example-runner.ts";
import { IMAGE } from "./pods.ts";

/** What each example shows, by its folder. */
const examples: Readonly<Record<string, (running: RunningExample) => Promise<void>>> = {
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
  const others = readdirSync(exampleFolder(".")).filter((name) => !name.startsWith("ambassador-")); // those have a file of their own
  assert.deepEqual(others.toSorted(), Object.keys(examples).toSorted());
});

test("the examples show what they say", async (t) => {
  const engine = await startEngine(t);
  await engine.peapod("image", "pull", IMAGE);
  for (const [name, show] of Object.entries(examples))
    await t.test(name, (inner) => runExample(inner, { engine, name, show, endsItself: name === "three-ways" }));
});

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
