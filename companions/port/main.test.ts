import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CommandError, eventually, run, type Scope } from "@peapod/kit";
import { scopeOf } from "../frame/test-scope.fixture.ts";

const program = join(import.meta.dirname, "main.ts");
const WITHIN = { withinMs: 10_000 };

/** A server that says its name, and gives back what it got once the client has sent everything. */
async function startServer(scope: Scope, name: string): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    let text = "";
    socket.setEncoding("utf8").on("data", (piece: string) => (text += piece));
    socket.once("end", () => socket.end(`${name} got ${text}`));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  scope.defer(() => void server.close());
  return (server.address() as AddressInfo).port; // a TCP server's
}

/** Starts the program; it ends with the scope. */
function start(
  scope: Scope,
  args: readonly string[],
  env: Record<string, string>,
): { child: ChildProcess; lines: Record<string, unknown>[] } {
  const child = spawn(process.execPath, [program, ...args], { env, stdio: ["ignore", "inherit", "pipe"] });
  const exited = once(child, "exit");
  scope.defer(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  const lines: Record<string, unknown>[] = [];
  let rest = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    const parts = `${rest}${text}`.split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts.map((line) => JSON.parse(line) as Record<string, unknown>)); // each line is JSON, or this throws
  });
  return { child, lines };
}

/** Sends everything, and gives what comes back. */
async function visit(path: string, text: string): Promise<string> {
  const socket = connect({ path, allowHalfOpen: true });
  socket.end(text);
  return (await socket.setEncoding("utf8").toArray()).join("");
}

async function fails(args: readonly string[], env: Record<string, string>): Promise<{ exitCode: number | null; stderr: string }> {
  const outcome = await run(process.execPath, [program, ...args], { env, signal: new AbortController().signal }).catch(
    (cause: unknown) => cause,
  );
  assert.ok(outcome instanceof CommandError);
  return { exitCode: outcome.exitCode, stderr: outcome.stderr };
}

test("port forwards from a UNIX socket to a port, by the environment alone, in both directions to their ends", async (t) => {
  const scope = scopeOf(t);
  const folder = await mkdtemp(join(tmpdir(), "port-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const [listen, admin] = [join(folder, "in.sock"), join(folder, "admin.sock")];
  const port = await startServer(scope, "one");
  const env = { PORT_LISTEN: `unix:${listen}`, PORT_UPSTREAM: `127.0.0.1:${port}`, PORT_ADMIN_LISTEN: `unix:${admin}` };
  const { child, lines } = start(scope, [], env);
  await run(process.execPath, [program, "wait", "--timeout", "20s"], { env, signal: t.signal });
  const long = "x".repeat(1_000_000);
  assert.equal(await visit(listen, long), `one got ${long}`);
  const metrics = await run("curl", ["-sS", "--unix-socket", admin, "http://port/metrics"], { signal: t.signal });
  assert.match(metrics.stdout, /^port_build_info\{version="[\d.]+"\} 1$/m);
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
  assert.deepEqual(
    lines.map(({ message }) => message),
    ["admin server listens", "port listens", "port drains", "port ends"],
  );
});

test("port takes a new upstream over from its file, leaves its connections alone, and refuses a mistake", async (t) => {
  const scope = scopeOf(t);
  const folder = await mkdtemp(join(tmpdir(), "port-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const [file, listen] = [join(folder, "port.yaml"), join(folder, "in.sock")];
  const [one, two] = [await startServer(scope, "one"), await startServer(scope, "two")];
  const configure = (upstream: string): Promise<void> => writeFile(file, `listen: unix:${listen}\nupstream: ${upstream}\n`);
  await configure(`127.0.0.1:${one}`);
  const { child, lines } = start(scope, ["--config", file], {});
  await eventually(() => lines.some(({ message }) => message === "port listens"), WITHIN);
  const early = connect({ path: listen, allowHalfOpen: true });
  early.write("early");
  await once(early, "connect");
  assert.equal(await visit(listen, "a"), "one got a");
  await configure("nowhere");
  await eventually(() => lines.some(({ message }) => message === "new configuration refused: the one in use stays"), WITHIN);
  await configure(`127.0.0.1:${two}`);
  await eventually(() => lines.some(({ message }) => message === "configuration reloaded"), WITHIN);
  assert.equal(await visit(listen, "b"), "two got b");
  child.kill("SIGTERM");
  await eventually(() => lines.some(({ message }) => message === "port drains"), WITHIN);
  early.end();
  assert.equal((await early.setEncoding("utf8").toArray()).join(""), "one got early", "what has begun ends by itself");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("port says every mistake at once, with its variable or its line", async (t) => {
  const scope = scopeOf(t);
  const folder = await mkdtemp(join(tmpdir(), "port-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "port.yaml");
  await writeFile(file, "lisen: :1\nupstream: nowhere\n");
  const [inFile, inEnvironment, none] = await Promise.all([
    fails(["check", file], {}),
    fails([], { PORT_LISTEN: "8080", PORT_DRAIN_TIMEOUT: "soon", PORT_PASSWORD: "x" }),
    fails([], {}),
  ]);
  assert.deepEqual([inFile.exitCode, inEnvironment.exitCode, none.exitCode], [64, 64, 64]);
  assert.match(
    inFile.stderr,
    /port\.yaml:1: lisen: unknown key; did you mean listen\?[^]*listen: is missing[^]*port\.yaml:2: upstream: expected/,
  );
  for (const name of ["PORT_LISTEN", "PORT_UPSTREAM", "PORT_DRAIN_TIMEOUT", "PORT_PASSWORD"])
    assert.match(inEnvironment.stderr, new RegExp(`^${name}: `, "m"));
  assert.match(none.stderr, /set PORT_LISTEN and PORT_UPSTREAM$/m);
});
