import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { KUBECTL, peapod, startEngine } from "./engine-fixture.ts";
import { exampleFolder, type RunningExample, runExample, says } from "./example-runner.ts";

/** Begins the pump's thread as the program does, in its image and as its user, says what it says, and stops it. */
const beginPump = `
  const { MessageChannel, Worker } = require("node:worker_threads");
  const { port1, port2 } = new MessageChannel();
  const workerData = { port: port2, memory: new SharedArrayBuffer(1 << 20) };
  new Worker("/app/thread.mjs", { workerData, transferList: [port2] });
  port1.once("message", ({ kind, waker }) => {
    console.log(kind);
    port1.postMessage({ kind: "stop" });
    require("node:fs").writeSync(waker, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]));
  });`;

/** What each example of an ambassador shows, by its folder. */
const examples: Readonly<Record<string, (running: RunningExample) => Promise<void>>> = {
  "ambassador-port": async ({ up, ports: [published] }) => {
    await says(up, /ambassador +\| .*"port listens"/);
    const answer = async (): Promise<string> => (await fetch(`http://127.0.0.1:${published}/`)).text();
    await eventually(async () => assert.match(await answer(), /^hello from a program that knows only port 3000/), { withinMs: 20_000 });
  },

  "ambassador-redis": async ({ up, manifests, engine }) => {
    await says(up, /application +\| visit 1$/m);
    const begun = await engine.peapod("exec", "visits", "-c", "ambassador", "--", "node", "-e", beginPump);
    assert.equal(begun.trim(), "ready", "the pump's thread, and what it is made of, are in the image");
    await change(engine, manifests, "ambassador.yaml", "database: 0", "database: zero");
    await says(up, /ambassador +\| .*listeners\[0\]\.database/, /application +\| visit 3$/m);
    await change(engine, manifests, "ambassador.yaml", "database: zero", "database: 1");
    await says(up, /visit 3$[^]*application +\| visit 1$/m);
  },

  "ambassador-mysql": async ({ up, engine }) => {
    await says(up, /application +\| piece 1 for keeper@%/);
    const seen = await engine.peapod(
      "exec",
      "stock",
      "-c",
      "application",
      "--",
      "sh",
      "-c",
      "env; cat /proc/*/environ; ls /login 2>&1 || true",
    );
    assert.doesNotMatch(seen, /correct-horse/, "the application does not see the password");
  },

  "ambassador-http": async ({ up, manifests, engine }) => {
    await says(up, /application +\| the API says: sunny, for a guest with a token/);
    await change(engine, manifests, "token.yaml", "correct-horse", "wrong");
    await says(up, /application +\| the API says: .*401/);
    await change(engine, manifests, "token.yaml", "wrong", "correct-horse");
    await says(up, /401[^]*the API says: sunny, for a guest with a token/);
  },

  "ambassador-postgres": async ({ up, manifests, engine }) => {
    await says(up, /application +\| order \d+ is in orders for shop/);
    await rotateUnderLoad(engine, manifests);
    await says(up, /orders for shop\n/);
  },

  "ambassador-haproxy": async ({ up, manifests, engine, ports: [published] }) => {
    await says(up, /application +\| the API says: 7 pieces in stock, for shop/);
    assert.equal((await fetch(`http://127.0.0.1:${published}/`)).status, 401, "the outside wants a login");
    await change(engine, manifests, "credentials.yaml", "open-sesame", "wrong");
    await says(up, /haproxy +\| reloaded/, /application +\| the API says: .*401/);
    await change(engine, manifests, "haproxy.yaml", "timeout connect 2s", "timeout connect soon");
    await says(
      up,
      /haproxy +\| .*haproxy\.cfg:\d+\] : unexpected character 's' in 'timeout connect'/,
      /haproxy +\| refused: the old configuration stays/,
    );
    await change(engine, manifests, "haproxy.yaml", "timeout connect soon", "timeout connect 3s");
    await change(engine, manifests, "credentials.yaml", "wrong", "open-sesame");
    await says(up, /401[^]*the API says: 7 pieces in stock, for shop/);
  },
};

test("every example of an ambassador is run here", () => {
  const there = readdirSync(exampleFolder(".")).filter((name) => name.startsWith("ambassador-"));
  assert.deepEqual(there.toSorted(), Object.keys(examples).toSorted());
});

test("the ambassadors stand for the outside world", async (t) => {
  const engine = await startEngine(t);
  const pulled = await engine.command(peapod, ["image", "pull", ...images()], { timeoutMs: 600_000 }); // some are hundreds of megabytes
  assert.equal(pulled.exitCode, 0, pulled.stderr);
  for (const [name, show] of Object.entries(examples))
    await t.test(name, (inner) => runExample(inner, { engine, name, show, endsItself: false }));
});

/** Every image that an example's manifests name. */
function images(): string[] {
  const files = Object.keys(examples).flatMap((name) => readdirSync(exampleFolder(name)).map((file) => join(exampleFolder(name), file)));
  return [
    ...new Set(files.flatMap((file) => [...readFileSync(file, "utf8").matchAll(/^ +image: (\S+)$/gm)].map((match) => match[1] ?? ""))),
  ];
}

/** Changes the password in the database and in the Secret while pgbench runs: what is connected goes on, what connects next logs in with the new one. */
async function rotateUnderLoad(engine: RunningExample["engine"], manifests: string): Promise<void> {
  const inApplication = (script: string) => engine.command(KUBECTL, ["exec", "shop", "-c", "application", "--", "sh", "-c", script]);
  const pgbench = "/usr/lib/postgresql/15/bin/pgbench -h localhost -U legacy";
  const prepared = await inApplication(`${pgbench} -i -q shop`);
  assert.equal(prepared.exitCode, 0, prepared.stderr);
  const established = inApplication(`${pgbench} -c 4 -T 8 shop`);
  await eventually(
    async () => {
      const { stdout } = await inApplication(
        "psql -h localhost -U legacy -Atc \"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'\" shop",
      );
      assert.equal(stdout.trim(), "4");
    },
    { withinMs: 10_000, everyMs: 50 },
  );
  const alter = `psql -h /data -U postgres -c "ALTER ROLE shop PASSWORD 'battery-staple'"`;
  const altered = await engine.command(KUBECTL, ["exec", "database", "-c", "postgres", "--", "sh", "-c", alter]);
  assert.equal(altered.exitCode, 0, altered.stderr);
  await change(engine, manifests, "login.yaml", "correct-horse", "battery-staple");
  await eventually(
    async () => {
      const { exitCode, stdout } = await inApplication("psql -h localhost -U legacy -Atc 'SELECT current_user' shop");
      assert.deepEqual([exitCode, stdout.trim()], [0, "shop"]);
    },
    { withinMs: 10_000, everyMs: 100 },
  );
  const { exitCode, stdout, stderr } = await established;
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /number of failed transactions: 0 \(0\.000%\)/);
}

/** Changes a text of the example's manifests, and has it taken over. */
async function change(engine: RunningExample["engine"], manifests: string, file: string, from: string, to: string): Promise<void> {
  const path = join(manifests, file);
  const text = readFileSync(path, "utf8");
  assert.ok(text.includes(from), `${file} has ${from}`);
  writeFileSync(path, text.replace(from, to));
  await engine.peapod("up", "-d", manifests);
}
