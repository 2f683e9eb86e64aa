import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { rmdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { isAlive, KUBECTL, peapod, startEngine } from "./engine-fixture.ts";
import { idle, list, pod, shell } from "./pods.ts";

/** A command in the foreground, as in a terminal of its own. */
function foreground(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): { said: () => string; interrupt: () => void; ended: Promise<number | null> } {
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { said: () => text, interrupt: () => process.kill(-(child.pid ?? 0), "SIGINT"), ended };
}

const two = pod("pair", {
  containers: [shell("talker", "i=0; while :; do echo word $i; i=$((i+1)); busybox sleep 0.2; done"), idle("quiet")],
});

test("peapod up in the foreground shows one log with names in the margin; Ctrl-C deletes what it created", async (t) => {
  const engine = await startEngine(t);
  const manifest = engine.file(
    "pair.yaml",
    list(two, JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "extra" }, data: { a: "b" } })),
  );
  await engine.peapod("image", "pull", "apt.local/busybox");
  const up = foreground(peapod, ["up", manifest], engine.environment);
  await eventually(() => assert.match(up.said(), /talker\s*\|\s*word 3/), { withinMs: 20_000 });
  assert.ok(!up.said().includes("\u001b"), "no colours where there is no terminal");
  up.interrupt();
  assert.equal(await up.ended, 130);
  assert.equal((await engine.command(KUBECTL, ["get", "pods,configmap/extra", "--ignore-not-found", "-o", "name"])).stdout, "");
});

test("peapod up -d, ps, logs, exec, down", async (t) => {
  const engine = await startEngine(t);
  const manifest = engine.file("manifests/pair.yaml", two);
  engine.file(
    "manifests/config.json",
    JSON.stringify({
      apiVersion: "v1",
      kind: "List",
      items: [{ apiVersion: "v1", kind: "Secret", metadata: { name: "key" }, stringData: { a: "b" } }],
    }),
  );
  const folder = join(manifest, "..");
  await engine.peapod("up", "-d", folder);
  assert.match(await engine.peapod("ps"), /pair\s+2\/2\s+Running/);
  const listed = JSON.parse(await engine.peapod("ps", "-o", "json")) as { items: { metadata: { name: string } }[] };
  assert.equal(listed.items[0]?.metadata.name, "pair");
  assert.match(await engine.peapod("logs", "pair", "-c", "talker"), /^word 0$/m);
  assert.match(await engine.peapod("logs", "pair"), /talker\s*\|\s*word 0/);
  const exec = (...args: readonly string[]) => engine.command(peapod, ["exec", "pair", "-c", "quiet", "--", ...args]);
  assert.equal((await exec("/bin/busybox", "echo", "hello")).stdout, "hello\n");
  assert.equal((await exec("/bin/busybox", "sh", "-c", "exit 7")).exitCode, 7);
  const typed = await engine.command(peapod, ["exec", "-i", "pair", "-c", "quiet", "--", "/bin/busybox", "cat"], { input: "typed\n" });
  assert.equal(typed.stdout, "typed\n");
  const terminal = await engine.command("script", [
    "-qec",
    `${peapod} exec -it pair -c quiet -- /bin/busybox sh -c 'test -t 0 && echo a terminal of $(busybox stty size)'`,
    "/dev/null",
  ]);
  assert.match(terminal.stdout, /a terminal of \d+ \d+/);
  await engine.peapod("up", "-d", folder); // again: nothing to do
  await engine.peapod("down", folder);
  assert.equal((await engine.command(KUBECTL, ["get", "pods,secret/key", "--ignore-not-found", "-o", "name"])).stdout, "");
  await engine.peapod("down", folder); // again: gone already is fine
});

test("a manifest with mistakes is refused with file, line and path, and nothing is created", async (t) => {
  const engine = await startEngine(t);
  const manifest = engine.file(
    "pod.yaml",
    `apiVersion: v1
kind: ConfigMap
metadata: {name: before}
---
apiVersion: v1
kind: Pod
metadata:
  name: wrong
spec:
  containers:
    - name: one
      image: apt.local/busybox
    - name: two
      image: apt.local/busybox
      imagePullPolcy: Never
      ports: [{containerPort: "eighty"}]
  initContainers:
    - name: first
      image: apt.local/busybox
`,
  );
  const outcome = await engine.command(peapod, ["up", "-d", manifest]);
  assert.notEqual(outcome.exitCode, 0);
  assert.match(outcome.stderr, /pod\.yaml:15: spec\.containers\[1\]\.imagePullPolcy: unknown field, did you mean imagePullPolicy\?/);
  assert.match(outcome.stderr, /pod\.yaml:16: spec\.containers\[1\]\.ports\[0\]\.containerPort: /);
  assert.match(outcome.stderr, /pod\.yaml:17: spec\.initContainers: /);
  assert.equal((await engine.command(KUBECTL, ["get", "configmap", "before", "--ignore-not-found", "-o", "name"])).stdout, "");
});

test("up starts an engine where none runs, stop ends it, and pods go on meanwhile", async (t) => {
  const engine = await startEngine(t);
  await engine.stop();
  await engine.peapod("up", "-d", engine.file("pair.yaml", two));
  const pid = engine.pid();
  assert.match(await engine.peapod("ps"), /pair\s+2\/2\s+Running/);
  await engine.peapod("stop");
  assert.ok(!isAlive(pid));
  assert.equal((await engine.command(peapod, ["stop"])).exitCode, 0);
  await engine.start();
  assert.match(await engine.peapod("ps"), /pair\s+2\/2\s+Running\s+0/);
});

test("an engine told so ends when nothing has been left to run", async (t) => {
  const engine = await startEngine(t, { flags: ["--idle-exit-minutes", "0.05"] });
  const pid = engine.pid();
  await eventually(() => !isAlive(pid), { withinMs: 10_000 });
  await engine.stop();
});

test("without root there is one clear sentence and the command to use", async (t) => {
  const engine = await startEngine(t);
  // From a place that everybody may look into, wherever the repository lies.
  const place = "/tmp/peapod-without-root";
  const script = `mkdir -p ${place} && mount --bind ${dirname(peapod)} ${place} && exec setpriv --reuid=65534 --regid=65534 --clear-groups ${place}/peapod up -`;
  const outcome = await engine.command("unshare", ["--mount", "sh", "-c", script], { input: two });
  rmdirSync(place);
  assert.notEqual(outcome.exitCode, 0);
  assert.match(outcome.stderr, /root.*sudo .*peapod up/);
  assert.equal(outcome.stderr.trim().split("\n").length, 1);
});

test("help, completion, fields, doctor, version and kubeconfig answer", async (t) => {
  const engine = await startEngine(t);
  for (const command of [
    "up",
    "down",
    "stop",
    "ps",
    "logs",
    "exec",
    "image",
    "serve",
    "kubeconfig",
    "doctor",
    "version",
    "fields",
    "completion",
  ]) {
    assert.match(await engine.peapod(command, "--help"), /Examples?:/i, command);
  }
  for (const shellName of ["bash", "zsh", "fish"]) assert.match(await engine.peapod("completion", shellName), /peapod/);
  assert.match(await engine.peapod("version"), /peapod/);
  const fields = await engine.peapod("fields");
  for (const word of ["supported", "accepted", "refused"]) assert.match(fields, new RegExp(word));
  const doctor = JSON.parse(await engine.peapod("doctor", "-o", "json")) as unknown;
  assert.ok(doctor !== null);
  assert.match(await engine.peapod("kubeconfig"), /certificate-authority-data/);
  const elsewhere = await engine.command(peapod, ["ps", "--kubeconfig", engine.kubeconfig, "--context", "no-such"]);
  assert.notEqual(elsewhere.exitCode, 0);
  assert.match(elsewhere.stderr, /no-such/);
});
