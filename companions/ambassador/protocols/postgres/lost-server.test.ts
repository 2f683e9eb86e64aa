import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, Scope } from "@peapod/kit";
import pg from "pg";
import { type RunningAmbassador, startAmbassador } from "./ambassador.fixture.ts";
import { type PostgresServer, startPostgres } from "./postgres-server.fixture.ts";

const scope = new Scope();
after(async () => await scope[Symbol.asyncDispose]());

const WITHIN = { withinMs: 20_000 };
/** A machine that is busy takes its time: only what takes longer, twice in a row, is taken for a failure. */
const healthCheck = { interval: "700ms", timeout: "700ms", unhealthyAfter: 2, healthyAfter: 1 };
const PORT = "SELECT inet_server_port() AS port";

let first: PostgresServer;
let second: PostgresServer;
before(async () => {
  [first, second] = (await Promise.all([1, 2].map(async () => await startPostgres(scope, { version: 15, auth: "trust" })))) as [
    PostgresServer,
    PostgresServer,
  ];
});

/** The ambassador in front of both. */
async function overBoth(own: Scope, closeConnections: boolean, target: string): Promise<RunningAmbassador> {
  const endpoints = [first, second].map(({ port }) => `127.0.0.1:${port}`);
  const upstream = { endpoints, target, retry: { attempts: 3 }, healthCheck: { ...healthCheck, closeConnections } };
  return await startAmbassador(own, upstream, { login: { username: "postgres" } });
}

/** An application's connection, which ends with the scope; it tells what broke it. */
async function connectTo(own: Scope, { port }: RunningAmbassador): Promise<pg.Client> {
  const client = new pg.Client({ host: "127.0.0.1", port, user: "legacy", password: "wrong", database: "postgres" });
  client.on("error", () => {}); // the query that waits hears of it too
  await client.connect();
  own.defer(async () => await client.end().catch(() => {}));
  return client;
}

async function portOf(client: pg.Client): Promise<number | undefined> {
  return (await client.query<{ port: number }>(PORT)).rows[0]?.port;
}

const healthOf = (ambassador: RunningAmbassador, { port }: PostgresServer): string | undefined =>
  ambassador.endpoints().find(({ endpoint }) => endpoint === `127.0.0.1:${port}`)?.health;

/** What the log says of a connection that was broken off. */
async function endOf(ambassador: RunningAmbassador): Promise<unknown> {
  const line = await eventually(() => ambassador.lines.find((each) => each.includes('"connection ended"')) ?? false, WITHIN);
  const { endpoint, endedBy, reset } = JSON.parse(line) as Record<string, unknown>; // what the logger wrote
  return { endpoint, endedBy, reset };
}

test("a query at a server that hangs fails once the health check finds it out, and only where connections are to be closed", async () => {
  await using own = new Scope();
  const [closing, keeping] = [await overBoth(own, true, "any"), await overBoth(own, false, "any")];
  const [client, patient] = [await connectTo(own, closing), await connectTo(own, keeping)];
  assert.deepEqual([await portOf(client), await portOf(patient)], [first.port, first.port]);
  const thaw = await first.freeze();
  own.defer(thaw);
  let isAnswered = false;
  const answer = portOf(patient).finally(() => (isAnswered = true));
  await assert.rejects(portOf(client), /ECONNRESET|Connection terminated unexpectedly/);
  assert.equal(await portOf(await connectTo(own, closing)), second.port);
  assert.deepEqual(await endOf(closing), { endpoint: `127.0.0.1:${first.port}`, endedBy: "upstream", reset: "EHOSTDOWN" });
  await eventually(() => healthOf(keeping, first) === "unhealthy", WITHIN);
  assert.equal(await portOf(await connectTo(own, keeping)), second.port);
  assert.equal(isAnswered, false);
  await thaw();
  assert.equal(await answer, first.port);
});

test("a session at a primary that was demoted ends with the check that finds it read-only", async () => {
  await using own = new Scope();
  const [closing, keeping] = [await overBoth(own, true, "read-write"), await overBoth(own, false, "read-write")];
  const [client, patient] = [await connectTo(own, closing), await connectTo(own, keeping)];
  assert.deepEqual([await portOf(client), await portOf(patient)], [first.port, first.port]);
  const query = assert.rejects(client.query("SELECT pg_sleep(60)"), /ECONNRESET|Connection terminated unexpectedly/);
  await first.sql("ALTER SYSTEM SET default_transaction_read_only = on");
  own.defer(async () => {
    await first.sql("ALTER SYSTEM RESET default_transaction_read_only");
    await first.sql("SELECT pg_reload_conf()");
  });
  await first.sql("SELECT pg_reload_conf()");
  await query;
  assert.equal(await portOf(await connectTo(own, closing)), second.port);
  assert.deepEqual(await endOf(closing), { endpoint: `127.0.0.1:${first.port}`, endedBy: "upstream", reset: "EHOSTDOWN" });
  const roleOf = (): string | undefined => keeping.endpoints()[0]?.role;
  await eventually(() => roleOf() === "read-only", WITHIN);
  assert.equal(await portOf(patient), first.port);
});
