import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { freePort } from "./pods.ts";
import { KUBECTL, peapod, startEngine } from "./engine-fixture.ts";
import { idle, pod, shell } from "./pods.ts";

interface Foreground {
  readonly said: () => string;
  readonly send: (signal: NodeJS.Signals) => void;
  readonly ended: Promise<number | null>;
}

function foreground(args: readonly string[], env: Readonly<Record<string, string>>): Foreground {
  const child = spawn(peapod, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { said: () => text, send: (signal) => process.kill(-(child.pid ?? 0), signal), ended };
}

const talker = shell("main", "trap 'exit 0' TERM; i=0; while :; do echo word $i; i=$((i+1)); busybox sleep 0.2; done");

test("up of a pod that ran already ends at the first signal and leaves it; it says when the engine is away, and when it is back", async (t) => {
  const engine = await startEngine(t, { environment: { PEAPOD_LISTEN: `127.0.0.1:${await freePort()}` } });
  const manifest = engine.file("one.yaml", pod("one", { containers: [talker] }));
  await engine.peapod("up", "-d", manifest);
  const up = foreground(["up", manifest], engine.environment);
  await eventually(() => assert.match(up.said(), /word 3/), { withinMs: 20_000 });
  await engine.kill();
  await eventually(() => assert.match(up.said(), /\* https:\/\/127\.0\.0\.1:\d+ does not answer; the containers go on/), {
    withinMs: 20_000,
  });
  const last = Number([...up.said().matchAll(/word (\d+)/g)].at(-1)?.[1]);
  await engine.start();
  await eventually(() => assert.match(up.said(), new RegExp(`is back[^]*word ${last + 10}\n`)), { withinMs: 20_000 });
  const words = [...up.said().matchAll(/word (\d+)/g)].map((match) => Number(match[1]));
  assert.deepEqual(words, [...words.keys()], "each word once, also those of while it was away");
  up.send("SIGTERM");
  assert.equal(await up.ended, 143);
  assert.match(up.said(), /Left as they were before: pod\/one/);
  assert.match(await engine.peapod("ps"), /one\s+1\/1\s+Running/);

  await t.test("down takes names; one that is not there is an error", async () => {
    assert.equal(await engine.peapod("down", "one"), "pod/one deleted\n");
    const missing = await engine.command(peapod, ["down", "one"]);
    assert.deepEqual([missing.exitCode, missing.stderr], [1, "peapod: No pod one in namespace default, and no such file or folder\n"]);
  });
});

test("up says why a container could not be started, was replaced or ended at once; logs and ps say what a pod waits for", async (t) => {
  const engine = await startEngine(t);
  const up = (name: string, manifest: string, ...flags: string[]) =>
    engine.command(peapod, ["up", ...flags, engine.file(`${name}.yaml`, manifest)]);

  await t.test("a command that is not there", async () => {
    const missing = pod("badcmd", { restartPolicy: "Never", containers: [{ ...idle("c"), command: ["nosuchprogram", "-x"] }] });
    const { exitCode, stderr } = await up("badcmd", missing);
    assert.equal(exitCode, 1);
    assert.match(stderr, /\* c: exited with 128 \(StartError\): .*nosuchprogram.*\n.*pod\/badcmd deleted/);
    assert.equal((await up("badcmd", missing, "-d")).exitCode, 1);
    for (const [program, ...more] of [
      [peapod, "logs", "badcmd"],
      [KUBECTL, "logs", "badcmd"],
    ] as const)
      assert.match((await engine.command(program, more)).stderr, /could not be started: .*nosuchprogram/);
    await engine.peapod("down", "badcmd");
  });

  await t.test("an image that changes to one that is not there", async () => {
    const good = { ...talker, image: "apt.local/busybox" };
    await engine.peapod("up", "-d", engine.file("simple.yaml", pod("simple", { containers: [good] })));
    const changed = await up("bad", pod("simple", { containers: [{ ...good, image: "apt.local/nosuchimage" }] }), "-d", "--timeout=4s");
    assert.equal(changed.exitCode, 1);
    assert.match(changed.stderr, /pod\/simple is not ready after 4 s/);
    await eventually(
      async () =>
        assert.match(await engine.peapod("ps"), /simple\s+0\/1\s+(?:ErrImagePull|ImagePullBackOff)[^]*\n {2}! main: .*nosuchimage/),
      { withinMs: 30_000, everyMs: 500 },
    );
    await engine.peapod("down", "simple");
  });

  await t.test("a container that ends at once with an error is not ready", async () => {
    const { exitCode, stdout } = await up("brief", pod("brief", { containers: [shell("main", "exit 3")] }), "-d", "--timeout=2s");
    assert.deepEqual([exitCode, stdout], [1, ""]);
    await engine.peapod("down", "brief");
  });

  await t.test("a pod that waits, and the ports of one that runs", async () => {
    const waiting = pod("waits", { containers: [idle("a", { resources: { requests: { memory: "900Ti" } } }), idle("b")] });
    await engine.apply(waiting);
    await eventually(async () => assert.match(await engine.peapod("ps"), /waits\s+0\/2\s+Pending[^]*\n {2}! Unschedulable: /), {
      withinMs: 10_000,
    });
    const logs = await engine.command(peapod, ["logs", "waits"]);
    assert.match(logs.stderr, /Pod waits has no log yet: it has no node: /);
    const ports = [{ containerPort: 80 }, { containerPort: 53, hostPort: await freePort(), hostIP: "127.0.0.1", protocol: "UDP" }];
    await engine.peapod("up", "-d", engine.file("ports.yaml", pod("ports", { containers: [idle("main", { ports })] })));
    assert.match(await engine.peapod("ps", "ports"), /80\/TCP, 127\.0\.0\.1:\d+->53\/UDP/);
  });

  await t.test("logs gives a container's bytes as they are", async () => {
    const bytes = shell("bin", String.raw`printf 'a\377\376b\r\nlast'`);
    await engine.peapod("up", "-d", engine.file("bytes.yaml", pod("bytes", { restartPolicy: "Never", containers: [bytes] })));
    for (const flags of ["", "-f"]) {
      const { stdout } = await engine.command("sh", ["-c", `"$0" logs ${flags} bytes | od -An -tx1`, peapod]);
      assert.equal(stdout.trim(), "61 ff fe 62 0d 0a 6c 61 73 74", `logs ${flags}`);
    }
  });
});
