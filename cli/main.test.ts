import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { CommandError, run } from "@peapod/kit";

/** Runs the command line as a program of its own, with directories where no engine is. */
async function peapod(t: TestContext, ...args: string[]): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  const folder = await mkdtemp(join(tmpdir(), "peapod-cli-"));
  t.after(() => rm(folder, { recursive: true }));
  const env = { PATH: process.env["PATH"] ?? "", PEAPOD_STATE_DIR: join(folder, "state"), PEAPOD_RUN_DIR: join(folder, "run") };
  try {
    return { exitCode: 0, ...(await run(process.execPath, [join(import.meta.dirname, "main.ts"), ...args], { signal: t.signal, env })) };
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause;
    return { exitCode: cause.exitCode, stdout: "", stderr: cause.stderr };
  }
}

test("main prints help for everything, a group and a command", async (t) => {
  const [all, group, one, other] = await Promise.all([
    peapod(t, "--help"),
    peapod(t, "image", "--help"),
    peapod(t, "up", "--help"),
    peapod(t, "help", "logs"),
  ]);
  assert.match(all.stdout, /Commands:[^]*up +Run the pods[^]*Exit codes:/);
  assert.match(group.stdout, /image pull/);
  assert.match(one.stdout, /Usage: peapod up[^]*--detach[^]*Examples:/);
  assert.match(other.stdout, /Usage: peapod logs/);
  for (const { exitCode } of [all, group, one, other]) assert.equal(exitCode, 0);
});

const mistakes: { args: string[]; says: RegExp }[] = [
  { args: [], says: /^$/ },
  { args: ["lgos"], says: /Unknown command "lgos", did you mean logs\?/ },
  { args: ["image", "pul"], says: /did you mean image pull\?/ },
  { args: ["ps", "--al"], says: /Unknown flag --al, did you mean --all-namespaces\?/ },
  { args: ["up"], says: /Name a manifest/ },
  { args: ["top"], says: /^peapod: Unknown command "top"\. See peapod --help\n$/ },
  { args: ["exec", "web"], says: /Name a command to run in pod "web"/ },
];
for (const { args, says } of mistakes) {
  test(`main exits with 64 for: peapod ${args.join(" ")}`, async (t) => {
    const { exitCode, stderr } = await peapod(t, ...args);
    assert.equal(exitCode, 64);
    assert.match(stderr, says);
  });
}

test("main says what to do where no engine runs", async (t) => {
  const { exitCode, stderr } = await peapod(t, "ps");
  assert.equal(exitCode, 1);
  assert.match(stderr, /^peapod: No engine is running .* start one with peapod up or peapod serve\n$/);
});

test("main names every problem of a manifest before it starts an engine", async (t) => {
  const { exitCode, stderr } = await peapod(t, "up", join(import.meta.dirname, "testdata", "bad.yaml"));
  assert.equal(exitCode, 1);
  assert.match(stderr, /bad\.yaml:14: spec\.containers\[1\]\.imagePullPolcy: unknown field, did you mean imagePullPolicy\?/);
});

test("__complete offers what is known, and without an engine no more, quietly", async (t) => {
  const completed = (...line: string[]) => peapod(t, "__complete", "--", ...line);
  const [group, field, companion, pod, file, folder] = await Promise.all([
    completed("image", "pr"),
    completed("fields", "pod.spec.containers.imageP"),
    completed("image", "build", ""),
    completed("logs", "-n", "x", ""),
    completed("up", ""),
    completed("up", "--run-dir", ""),
  ]);
  assert.deepEqual(
    [group, field, companion, pod, file, folder].map(({ exitCode, stdout, stderr }) => [exitCode, stdout, stderr]),
    [
      [0, "words\nprune\tRemove images that nothing uses\n", ""],
      [0, "words\npod.spec.containers.imagePullPolicy\t\n", ""],
      [0, "words\nambassador\t\nport\t\n", ""],
      [0, "words\n", ""],
      [0, "files\n", ""],
      [0, "folders\n", ""],
    ],
  );
});

test("version prints what a script can read", async (t) => {
  const { stdout } = await peapod(t, "version", "-o", "json");
  assert.deepEqual(Object.keys(JSON.parse(stdout) as object), ["version", "kubernetes", "node"]);
});

test("companion lists the companions, and becomes the one that is named, with its exit code", async (t) => {
  const [list, version, usage, unknown] = await Promise.all([
    peapod(t, "companion"),
    peapod(t, "companion", "ambassador", "--version"),
    peapod(t, "companion", "ambassador", "check", "/does/not/exist.yaml"),
    peapod(t, "companion", "ambasador"),
  ]);
  assert.match(list.stdout, /^COMPANION +WHAT IT DOES\nambassador +Stands for databases/);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  assert.equal(usage.exitCode, 64);
  assert.match(usage.stderr, /^\/does\/not\/exist\.yaml: cannot be read/);
  assert.equal(unknown.exitCode, 64);
  assert.match(unknown.stderr, /did you mean ambassador\?\n$/);
});
