import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { Scope } from "@peapod/kit";
import { CommandError, eventually, run } from "@peapod/kit";
import { ask, LineClient, startEcho, tcpListener } from "./program.fixture.ts";
import { scopeOf } from "../../frame/test-scope.fixture.ts";

const program = join(import.meta.dirname, "..", "main.ts");
const WITHIN = { withinMs: 10_000 };

/** Runs the program to its end. */
async function ambassador(t: TestContext, args: readonly string[], env: Record<string, string> = {}) {
  try {
    return { exitCode: 0, ...(await run(process.execPath, [program, ...args], { signal: t.signal, env })) };
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause;
    return { exitCode: cause.exitCode, stdout: cause.stdout, stderr: cause.stderr };
  }
}

interface Started {
  readonly child: ChildProcess;
  readonly lines: readonly Record<string, unknown>[];
  readonly exited: Promise<unknown[]>;
}

/** Starts the program and waits until it listens; it ends with the scope. */
async function start(scope: Scope, args: readonly string[], env: Record<string, string> = {}): Promise<Started> {
  const child = spawn(process.execPath, [program, ...args], { env, stdio: ["ignore", "inherit", "pipe"] });
  const exited = once(child, "exit");
  scope.defer(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await exited;
  });
  const lines: Record<string, unknown>[] = [];
  let rest = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    const parts = `${rest}${text}`.split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts.map((line) => JSON.parse(line) as Record<string, unknown>)); // each line is JSON, or this throws
  });
  await eventually(() => lines.some(({ message }) => message === "ambassador listens"), WITHIN);
  return { child, lines, exited };
}

function portIn({ lines }: Started, message: string, read: (line: Record<string, unknown>) => unknown): number {
  const line = lines.find((one) => one["message"] === message) ?? {};
  return Number(String(read(line)).split(":").at(-1));
}

async function folderOf(scope: Scope): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "ambassador-program-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test("the program runs from the environment alone, is waited for, and ends with 0 on SIGTERM", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  const environment = {
    AMBASSADOR_PROTOCOL: "tcp",
    AMBASSADOR_LISTEN: "127.0.0.1:0",
    AMBASSADOR_UPSTREAM: `127.0.0.1:${echo.port}`,
    AMBASSADOR_ADMIN_LISTEN: "127.0.0.1:0",
  };
  const started = await start(scope, [], environment);
  const admin = `127.0.0.1:${portIn(started, "admin server listens", ({ address }) => address)}`;
  const [ready, unknown] = await Promise.all([
    ambassador(t, ["wait", "--admin", admin, "--timeout", "10s"]),
    ambassador(t, ["wait", "--admin", admin, "--listener", "nobody", "--timeout", "1s"]),
  ]);
  assert.deepEqual([ready.exitCode, ready.stderr], [0, ""]);
  assert.equal(unknown.exitCode, 1);
  assert.match(unknown.stderr, /^Not ready after 1 s: there is no listener "nobody"\n$/);
  const listeners = ({ listeners: all }: Record<string, unknown>): unknown => Object.values(all as object)[0]; // as the program logs them
  using client = new LineClient(portIn(started, "ambassador listens", listeners));
  assert.equal(await client.line(), "echo");
  await client.end();
  started.child.kill("SIGTERM");
  assert.deepEqual(await started.exited, [0, null]);
});

test("the program reads its configuration again on SIGHUP, and ends at once on a second SIGTERM", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  const file = join(await folderOf(scope), "ambassador.yaml");
  const config = { drainTimeout: "10m", admin: { listen: "127.0.0.1:0" }, listeners: [tcpListener("db", echo.port)] };
  await writeFile(file, JSON.stringify(config));
  const started = await start(scope, ["--config", file]);
  started.child.kill("SIGHUP");
  await eventually(() => started.lines.some(({ message }) => message === "configuration reloaded"), WITHIN);
  const listeners = ({ listeners: all }: Record<string, unknown>): unknown => Object.values(all as object)[0]; // as the program logs them
  using client = new LineClient(portIn(started, "ambassador listens", listeners));
  await client.line();
  started.child.kill("SIGTERM");
  await eventually(() => started.lines.some(({ message }) => message === "ambassador drains"), WITHIN);
  const admin = portIn(started, "admin server listens", ({ address }) => address);
  assert.equal((await ask(admin, "/readyz")).status, 503);
  assert.equal(await client.ask("still"), "still");
  started.child.kill("SIGTERM");
  assert.deepEqual(await started.exited, [0, null]);
});

test("check says what is wrong with a configuration, each with its line, and exits with 64", async (t) => {
  const folder = await folderOf(scopeOf(t));
  const [good, bad] = [join(folder, "good.yaml"), join(folder, "bad.yaml")];
  await writeFile(good, JSON.stringify({ listeners: [tcpListener("db", 1)] }));
  await writeFile(bad, "listeners:\n  - name: db\n    protocol: pigeon\n");
  const [valid, invalid, started] = await Promise.all([
    ambassador(t, ["check", good]),
    ambassador(t, ["check", bad]),
    ambassador(t, ["--config", bad]),
  ]);
  assert.deepEqual([valid.exitCode, valid.stdout], [0, `${good}: valid, 1 listener\n`]);
  assert.equal(invalid.exitCode, 64);
  assert.match(invalid.stderr, /bad\.yaml:3: .*protocol/);
  assert.deepEqual([started.exitCode, started.stderr], [64, invalid.stderr]);
});

test("a port that is taken ends the program with 1 and what to do; a command line that makes no sense with 64", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  const file = join(await folderOf(scope), "ambassador.yaml");
  await writeFile(file, JSON.stringify({ listeners: [tcpListener("db", 1, { listen: `127.0.0.1:${echo.port}` })] }));
  const [taken, unknown, unready, help] = await Promise.all([
    ambassador(t, ["--config", file]),
    ambassador(t, ["serve"]),
    ambassador(t, ["wait", "--admin", "127.0.0.1:1", "--timeout", "50ms"]),
    ambassador(t, ["--help"]),
  ]);
  assert.equal(taken.exitCode, 1);
  assert.match(taken.stderr, /^Cannot listen on 127\.0\.0\.1:\d+: another process listens/);
  assert.deepEqual([unknown.exitCode, unknown.stderr], [64, 'Unknown command "serve": there are run, check and wait\n']);
  assert.equal(unready.exitCode, 1);
  assert.match(unready.stderr, /127\.0\.0\.1:1 does not answer/);
  assert.match(help.stdout, /Usage: ambassador[^]*Examples:[^]*Exit codes: 0/);
});
