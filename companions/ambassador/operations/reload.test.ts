import { configSchema } from "../config/config-schema.ts";
import assert from "node:assert/strict";
import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { planReload } from "./plan-reload.ts";
import { ask, LineClient, type RunningAmbassador, startAmbassador, startEcho, statusOf, tcpListener } from "./program.fixture.ts";
import { parseConfig } from "../../frame/config/parse-config.ts";
import { scopeOf } from "../../frame/test-scope.fixture.ts";

const WITHIN = { withinMs: 5_000 };

/** Waits for the `count`th configuration after the first to be taken over. */
async function reloaded({ lines }: RunningAmbassador, count = 1): Promise<void> {
  await eventually(() => lines.filter(({ message }) => message === "configuration reloaded").length >= count, WITHIN);
}

test("a new configuration leaves unchanged listeners alone, and serves new connections of changed ones in the new way", async (t) => {
  const scope = scopeOf(t);
  const [blue, green] = [await startEcho(scope, "blue"), await startEcho(scope, "green")];
  const ambassador = await startAmbassador(scope, { listeners: [tcpListener("kept", blue.port), tcpListener("moved", blue.port)] });
  using kept = new LineClient(ambassador.port("kept"));
  using moved = new LineClient(ambassador.port("moved"));
  assert.deepEqual([await kept.line(), await moved.line()], ["blue", "blue"]);

  await ambassador.configure({
    listeners: [tcpListener("kept", blue.port), tcpListener("moved", green.port), tcpListener("new", green.port)],
  });
  await reloaded(ambassador);
  const { listeners, retiredConnections } = await statusOf(ambassador);
  assert.deepEqual(
    listeners.map(({ name, connections }) => [name, connections]),
    [
      ["kept", 1],
      ["moved", 0],
      ["new", 0],
    ],
  );
  assert.equal(retiredConnections, 1);
  const { body } = await ask(ambassador.admin, "/metrics");
  assert.match(body, /^ambassador_connections_active\{listener="moved"\} 1$/m); // it is a client of that listener all the same
  assert.equal(await kept.ask("still"), "still");
  assert.equal(await moved.ask("here"), "here");
  using next = new LineClient(ambassador.port("moved"));
  assert.equal(await next.line(), "green");
  await moved.end();
  await eventually(async () => (await statusOf(ambassador)).retiredConnections === 0, WITHIN);
});

test("connections from before a change have their places in the limits after it, and who waited before it comes first", async (t) => {
  const scope = scopeOf(t);
  const [blue, green] = [await startEcho(scope, "blue"), await startEcho(scope, "green")];
  const limited = (length: number): Record<string, unknown> => ({ limits: { connections: 1, queue: { length, timeout: "10s" } } });
  const ambassador = await startAmbassador(scope, { listeners: [tcpListener("db", blue.port, limited(1))] });
  using old = new LineClient(ambassador.port("db"));
  assert.equal(await old.line(), "blue");
  using waiting = new LineClient(ambassador.port("db"));
  await eventually(async () => (await statusOf(ambassador)).listeners[0]?.connections === 2, WITHIN);
  await ambassador.configure({ listeners: [tcpListener("db", green.port, limited(0))] });
  await reloaded(ambassador);
  using refused = new LineClient(ambassador.port("db"));
  assert.equal(await refused.line(), undefined);
  await old.end();
  assert.equal(await waiting.line(), "blue");
  using stillRefused = new LineClient(ambassador.port("db"));
  assert.equal(await stillRefused.line(), undefined);
  await waiting.end();
  await eventually(async () => (await statusOf(ambassador)).retiredConnections === 0, WITHIN);
  using next = new LineClient(ambassador.port("db"));
  assert.equal(await next.line(), "green");
});

test("a listener that left the configuration accepts no more, and its connections end at the drain's deadline", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  const ambassador = await startAmbassador(scope, { listeners: [tcpListener("kept", echo.port), tcpListener("gone", echo.port)] });
  using client = new LineClient(ambassador.port("gone"));
  await client.line();
  await ambassador.configure({ drainTimeout: "300ms", listeners: [tcpListener("kept", echo.port)] });
  await reloaded(ambassador);
  assert.equal(await client.ask("still"), "still");
  using late = new LineClient(ambassador.port("gone"));
  assert.equal(await late.line(), undefined);
  assert.equal(await client.line(), undefined);
  await eventually(() => echo.connections.size === 0, WITHIN);
});

test("an invalid configuration is refused with its lines, counted, and shown, and the old one stays", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  const config = { listeners: [tcpListener("db", echo.port)] };
  const ambassador = await startAmbassador(scope, config);
  using client = new LineClient(ambassador.port("db"));
  await client.line();
  await ambassador.configure("listeners:\n  - name: db\n    protocol: pigeon\n");
  const refused = await eventually(() => {
    const line = ambassador.lines.find(({ level }) => level === "error");
    assert.ok(line);
    return line;
  }, WITHIN);
  assert.match(String(refused["problems"]), /ambassador\.yaml:3: .*protocol/);
  assert.equal(await client.ask("still"), "still");
  using next = new LineClient(ambassador.port("db"));
  assert.equal(await next.line(), "echo");
  assert.match((await statusOf(ambassador)).configuration.problem ?? "", /protocol/);
  const { body } = await ask(ambassador.admin, "/metrics");
  assert.match(body, /^ambassador_config_reload_failures_total 1$/m);
  assert.match(body, /^ambassador_config_last_reload_successful 0$/m);
  assert.equal((await ask(ambassador.admin, "/readyz")).status, 200);

  await ambassador.configure({ ...config, accessLog: false });
  await eventually(async () => (await statusOf(ambassador)).configuration.problem === undefined, WITHIN);
  assert.match((await ask(ambassador.admin, "/metrics")).body, /^ambassador_config_last_reload_successful 1$/m);
});

test("a configuration whose address is taken is refused as a whole: nothing of it is kept", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  const ambassador = await startAmbassador(scope, { listeners: [tcpListener("db", echo.port)] });
  const { admin } = ambassador;
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  scope.defer(() => new Promise<void>((resolve) => other.close(() => resolve())));
  const taken = `127.0.0.1:${(other.address() as { port: number }).port}`; // a TCP server's address
  const [first, second] = [tcpListener("new", echo.port), tcpListener("taken", echo.port, { listen: taken })];
  await ambassador.configure({ listeners: [first, second] });
  await eventually(() => ambassador.lines.some(({ code }) => code === "LISTEN_FAILED"), WITHIN);
  const { listeners } = await statusOf({ ...ambassador, admin });
  assert.deepEqual(
    listeners.map(({ name }) => name),
    ["db"],
  );
  using client = new LineClient(ambassador.port("db"));
  assert.equal(await client.line(), "echo");
});

test("a listener's port and the admin server's move, and a port goes over to a listener of another name", async (t) => {
  const scope = scopeOf(t);
  const [blue, green] = [await startEcho(scope, "blue"), await startEcho(scope, "green")];
  const listen = `127.0.0.1:${await freePort()}`;
  const ambassador = await startAmbassador(scope, { listeners: [tcpListener("old", blue.port, { listen })] });
  using client = new LineClient(ambassador.port("old"));
  assert.equal(await client.line(), "blue");
  const admin = await freePort();
  await ambassador.configure({ admin: { listen: `127.0.0.1:${admin}` }, listeners: [tcpListener("new", green.port, { listen })] });
  await reloaded(ambassador);
  await assert.rejects(ask(ambassador.admin, "/healthz"));
  assert.deepEqual(
    (await statusOf({ ...ambassador, admin })).listeners.map(({ name, address }) => [name, address]),
    [["new", listen]],
  );
  using next = new LineClient(ambassador.port("old"));
  assert.equal(await next.line(), "green");
  assert.equal(await client.ask("still"), "still");
});

test("a ConfigMap's swapped ..data link is seen", async (t) => {
  const scope = scopeOf(t);
  const [blue, green] = [await startEcho(scope, "blue"), await startEcho(scope, "green")];
  const first = { listeners: [tcpListener("db", blue.port)] };
  const ambassador = await startAmbassador(scope, first);
  const { folder, configFile } = ambassador;
  for (const [version, port] of Object.entries({ "..1": blue.port, "..2": green.port })) {
    await mkdir(join(folder, version));
    const config = { admin: { listen: "127.0.0.1:0" }, accessLog: true, listeners: [tcpListener("db", port)] };
    await writeFile(join(folder, version, "ambassador.yaml"), JSON.stringify(config));
  }
  await symlink("..1", join(folder, "..data"));
  await symlink(join("..data", "ambassador.yaml"), join(folder, "link"));
  await rename(join(folder, "link"), configFile);
  await symlink("..2", join(folder, "..data_tmp"));
  await rename(join(folder, "..data_tmp"), join(folder, "..data"));
  await reloaded(ambassador);
  using client = new LineClient(ambassador.port("db"));
  assert.equal(await client.line(), "green");
});

const text = (listeners: readonly object[]): string => JSON.stringify({ listeners });
const base = [tcpListener("a", 1, { listen: "127.0.0.1:1001" }), tcpListener("b", 1, { listen: "127.0.0.1:1002" })];
const none = { unchanged: [], changed: [], added: [], removed: [] };
const cases: { does: string; after: readonly object[]; want: object }[] = [
  { does: "leaves equal listeners alone", after: base.toReversed(), want: { ...none, unchanged: ["b", "a"] } },
  {
    does: "tells a listener that serves in another way from one that is as it was",
    after: [tcpListener("a", 2, { listen: "127.0.0.1:1001" }), ...base.slice(1)],
    want: { ...none, unchanged: ["b"], changed: ["a"] },
  },
  {
    does: "takes a listener at another address for a new one",
    after: [tcpListener("a", 1, { listen: "127.0.0.1:1003" }), ...base.slice(1)],
    want: { ...none, unchanged: ["b"], added: ["a"], removed: ["a"] },
  },
  {
    does: "adds and removes by name",
    after: [tcpListener("c", 1, { listen: "127.0.0.1:1001" }), ...base.slice(1)],
    want: { ...none, unchanged: ["b"], added: ["c"], removed: ["a"] },
  },
];
for (const { does, after, want } of cases) {
  test(`planReload() ${does}`, () => {
    assert.deepEqual(
      planReload(parseConfig(configSchema, text(base), "before").listeners, parseConfig(configSchema, text(after), "after").listeners),
      want,
    );
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number }; // a TCP server's address
  await new Promise((resolve) => server.close(resolve));
  return port;
}
