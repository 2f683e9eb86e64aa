import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Scope } from "@peapod/kit";
import pg from "pg";
import postgres from "postgres";
import { psql, type RunningAmbassador, startAmbassador } from "./ambassador.fixture.ts";
import { clientFolder, type PostgresServer, startPostgres } from "./postgres-server.fixture.ts";

const exec = promisify(execFile);
const scope = new Scope();
after(async () => await scope[Symbol.asyncDispose]());

let server: PostgresServer;
let ambassador: RunningAmbassador;
before(async () => {
  server = await startPostgres(scope, { version: 15, auth: "scram-sha-256", users: { app: "secret" }, databases: ["legacydb"] });
  ambassador = await startAmbassador(scope, { endpoints: [`127.0.0.1:${server.port}`] });
});

/** What the application was delivered with. */
const legacy = () => ({ host: "127.0.0.1", port: ambassador.port, user: "legacy", password: "wrong", database: "legacydb" });
const environment = () => ({
  ...process.env,
  PGHOST: "127.0.0.1",
  PGPORT: `${ambassador.port}`,
  PGUSER: "legacy",
  PGPASSWORD: "wrong",
  PGDATABASE: "legacydb",
});

test("postgresProtocol serves pg: prepared statements, notifications, errors, large results", async () => {
  const client = new pg.Client(legacy());
  await client.connect();
  try {
    const prepared = { name: "sum", text: "SELECT $1::int + $2::int AS sum" };
    for (const [one, two] of [
      [1, 2],
      [3, 4],
    ] as const)
      assert.equal((await client.query<{ sum: number }>({ ...prepared, values: [one, two] })).rows[0]?.sum, one + two);
    await client.query("LISTEN news");
    const heard = once(client, "notification") as Promise<[{ payload?: string }]>; // as its documentation says
    await server.sql("SELECT 1");
    await client.query("NOTIFY news, 'today'");
    assert.equal((await heard)[0].payload, "today");
    await assert.rejects(client.query("SELECT 1/0"), { code: "22012" });
    const { rows } = await client.query<{ text: string }>("SELECT repeat('x', 1000) AS text FROM generate_series(1, 20000)");
    assert.equal(
      rows.reduce((sum, { text }) => sum + text.length, 0),
      20_000_000,
    );
  } finally {
    await client.end();
  }
});

test("postgresProtocol serves postgres: pipelined queries, a transaction, COPY in both directions", async () => {
  const sql = postgres({
    host: "127.0.0.1",
    port: ambassador.port,
    user: "legacy",
    password: "wrong",
    database: "legacydb",
    max: 2,
    onnotice: () => {},
  });
  try {
    const sums = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => (await sql<{ sum: number }[]>`SELECT ${index}::int + 1 AS sum`)[0]?.sum),
    );
    assert.deepEqual(
      sums,
      Array.from({ length: 50 }, (_, index) => index + 1),
    );
    await sql`CREATE TABLE copied (id int, text text)`;
    const into = await sql`COPY copied FROM STDIN`.writable();
    for (let row = 0; row < 5_000; row += 1) if (!into.write(`${row}\t${"y".repeat(500)}\n`)) await once(into, "drain");
    into.end();
    await once(into, "finish");
    let bytes = 0;
    for await (const chunk of await sql`COPY copied TO STDOUT`.readable()) bytes += (chunk as Buffer).length; // no encoding is set
    assert.equal(
      bytes,
      Array.from({ length: 5_000 }, (_, row) => `${row}\t${"y".repeat(500)}\n`.length).reduce((sum, length) => sum + length),
    );
    await assert.rejects(
      sql.begin(async (inner) => [await inner`INSERT INTO copied VALUES (-1, '')`, await inner`SELECT nothing`]),
      { code: "42703" },
    );
    assert.equal((await sql<{ count: string }[]>`SELECT count(*) FROM copied WHERE id < 0`)[0]?.count, "0");
  } finally {
    await sql.end();
  }
});

test("postgresProtocol ends a session whose credentials are too old between two transactions", async () => {
  const aging = await startAmbassador(scope, { endpoints: [`127.0.0.1:${server.port}`] }, { maxAge: "1s" });
  const [busy, idle] = [new pg.Client({ ...legacy(), port: aging.port }), new pg.Client({ ...legacy(), port: aging.port })];
  for (const client of [busy, idle]) {
    client.on("error", () => {}); // they are ended
    await client.connect();
  }
  await busy.query("BEGIN");
  const ended = (client: pg.Client): Promise<void> => new Promise((resolve) => client.once("end", resolve));
  const [busyEnded, idleEnded] = [ended(busy), ended(idle)];
  await writeFile(aging.passwordFile, "another\n");
  await idleEnded;
  assert.deepEqual((await busy.query<{ one: number }>("SELECT 1 AS one")).rows, [{ one: 1 }]);
  await busy.query("COMMIT");
  await busyEnded;
});

test("postgresProtocol serves pg and postgres a cancel request", async () => {
  const sql = postgres({ ...legacy(), max: 1 });
  try {
    const query = sql`SELECT pg_sleep(63)`;
    const failed = assert.rejects(query, { code: "57014" });
    for (let isRunning = false; !isRunning;)
      isRunning = (await server.sql("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(63)'")) !== "";
    query.cancel();
    await failed;
  } finally {
    await sql.end();
  }
});

test("postgresProtocol serves pgbench, in all its query modes and with a login for each transaction", async () => {
  const bench = async (...args: string[]): Promise<string> =>
    (await exec(join(clientFolder, "pgbench"), args, { env: environment() })).stdout;
  await bench("--initialize", "--quiet", "--scale", "1");
  for (const mode of ["simple", "extended", "prepared"])
    assert.match(await bench("--no-vacuum", "--client", "4", "--transactions", "50", "--protocol", mode), /actually processed: 200\/200/);
  assert.match(
    await bench("--no-vacuum", "--client", "4", "--transactions", "10", "--select-only", "--connect"),
    /actually processed: 40\/40/,
  );
});

test("postgresProtocol serves replication: a base backup and a stream of changes", async () => {
  const folder = join(server.folder, "backup");
  await exec(join(clientFolder, "pg_basebackup"), ["--pgdata", folder, "--checkpoint", "fast", "--no-sync"], { env: environment() });
  assert.ok((await readdir(folder)).includes("backup_manifest"));
  const recvlogical = async (...args: string[]): Promise<unknown> =>
    await exec(join(clientFolder, "pg_recvlogical"), ["--dbname", "legacydb", "--slot", "changes", ...args], { env: environment() });
  await recvlogical("--create-slot", "--plugin", "pgoutput");
  await psql(
    ambassador.port,
    "CREATE PUBLICATION everything FOR ALL TABLES; CREATE TABLE streamed (id int); INSERT INTO streamed VALUES (1)",
  );
  const end = await psql(ambassador.port, "SELECT pg_current_wal_insert_lsn()");
  const file = join(folder, "changes");
  await recvlogical(
    "--start",
    "--endpos",
    end,
    "--no-loop",
    "--file",
    file,
    "--option",
    "proto_version=1",
    "--option",
    "publication_names=everything",
  );
  assert.match((await readFile(file)).toString("latin1"), /public\0streamed/);
});
