import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { eventually, Scope, silentLogger } from "@peapod/kit";
import mariadb from "mariadb";
import mysql2 from "mysql2/promise";
import type { MysqlListenerConfig } from "../../config/config.ts";
import { fileCredentials, type Serving, startServing, targetOf } from "../tls/serving.fixture.ts";
import { type MariadbServer, startMariadb } from "./mariadb-server.fixture.ts";
import { mysqlProtocol } from "./mysql.ts";
import { mysqlListenerTo, refusalAt, serveMysql, value } from "./mysql.fixture.ts";

const run = promisify(execFile);
const scope = new Scope();
let server: MariadbServer;
let serving: Serving;

before(async () => {
  server = await startMariadb(scope, { flags: ["--max-allowed-packet=64M", "--plugin-load-add=auth_ed25519"] });
  await server.sql(`
    CREATE DATABASE shop; CREATE TABLE shop.items (id INT, note VARCHAR(100));
    CREATE USER app IDENTIFIED BY 'the right one'; GRANT ALL ON *.* TO app;
    CREATE USER curve IDENTIFIED VIA ed25519 USING PASSWORD('of any length at all, not only 32 bytes');
    CREATE USER one IDENTIFIED BY 'the right one' WITH MAX_USER_CONNECTIONS 1`);
  serving = await serveMysql(scope, mysqlListenerTo(server.port));
});
after(() => scope[Symbol.asyncDispose]());

/** What the application has hard-coded; none of it is true. */
const hardCoded = { host: "127.0.0.1", user: "legacy", password: "long ago", database: "shop" };

test("mysqlProtocol() lets mysql2 in with any password, and logs in as configured", async () => {
  const connection = await mysql2.createConnection({ ...hardCoded, port: serving.port });
  const [rows] = await connection.query("SELECT CURRENT_USER() AS user, DATABASE() AS name, CONNECTION_ID() AS id");
  assert.deepEqual(rows, [{ user: "app@%", name: "shop", id: connection.threadId }]);
  assert.deepEqual(serving.notes.at(-1), { user: "legacy", database: "shop" });
  await connection.changeUser({ user: "other", database: "mysql" });
  assert.deepEqual(serving.notes.at(-1), { user: "other", database: "mysql" });
  await connection.end();
  await eventually(() => serving.outcomes.length > 0 && serving.outcomes.every((outcome) => outcome === undefined), { withinMs: 2000 });
});

test("mysqlProtocol() passes mysql2's prepared statements, several statements at once, and files", async () => {
  // Over 256 packets, so that the numbers of a file's packets come by 0, where its bytes must not pass for commands.
  const lines = Array.from({ length: 300 }, (_, id) => `${id},\x11\x01${"x".repeat(50)}`);
  const pieces = lines.map((line) => Buffer.from(`${line}\n`));
  const connection = await mysql2.createConnection({ ...hardCoded, port: serving.port, multipleStatements: true });
  const options = {
    sql: "LOAD DATA LOCAL INFILE 'x' INTO TABLE items FIELDS TERMINATED BY ','",
    infileStreamFactory: () => Readable.from(pieces),
  };
  const [loaded] = await connection.query<mysql2.ResultSetHeader>(options);
  assert.equal(loaded.affectedRows, 300);
  const [counted] = await connection.execute<mysql2.RowDataPacket[]>("SELECT COUNT(*) AS n FROM items WHERE id < ?", [100]);
  assert.deepEqual(counted, [{ n: 100 }]);
  const [several] = await connection.query("SELECT 1 AS a; TRUNCATE items; SELECT 2 AS b");
  assert.deepEqual([(several as unknown[])[0], (several as unknown[])[2]], [[{ a: 1 }], [{ b: 2 }]]);
  await connection.end();
});

test("mysqlProtocol() passes packets over 16 MiB both ways", async () => {
  const connection = await mariadb.createConnection({ ...hardCoded, port: serving.port, maxAllowedPacket: 2 ** 26 });
  const blob = Buffer.alloc(0xffffff + 1000, "\x11");
  const rows = await connection.query<{ b: Buffer; n: number }[]>("SELECT ? AS b, 1 AS n", [blob]);
  assert.equal(Buffer.compare(Buffer.from(rows[0]?.b ?? ""), blob), 0);
  await connection.changeUser({ user: "other", password: "x" });
  assert.deepEqual(await connection.query("SELECT 2 AS n"), [{ n: 2 }]);
  await connection.end();
});

test("mysqlProtocol() passes what only MariaDB's own client has: pipelining and bulk execution", async () => {
  const connection = await mariadb.createConnection({ ...hardCoded, port: serving.port, pipelining: true, bulk: true });
  const numbers = await Promise.all(Array.from({ length: 50 }, (_, n) => connection.query<{ n: number }[]>("SELECT ? AS n", [n])));
  assert.deepEqual(
    numbers.map((rows) => Number(rows[0]?.n)),
    Array.from({ length: 50 }, (_, n) => n),
  );
  const results = await connection.batch(
    "INSERT INTO items VALUES (?, ?)",
    Array.from({ length: 100 }, (_, id) => [id, `note ${id}`]),
  );
  assert.equal([results].flat()[0]?.affectedRows, 100);
  await connection.query("TRUNCATE items");
  await connection.end();
});

const whoAmI = "SELECT CURRENT_USER() AS user, DATABASE() AS name, @mine AS mine";

test("mysqlProtocol() answers mysql2's change of user in the configured name, again and again", async () => {
  const connection = await mysql2.createConnection({ ...hardCoded, port: serving.port });
  for (const database of ["mysql", "shop", "mysql"]) {
    await connection.query("SET @mine = 1");
    await connection.changeUser({ user: "somebody", password: "else", database });
    assert.deepEqual((await connection.query(whoAmI))[0], [{ user: "app@%", name: database, mine: null }]);
  }
  await connection.end();
});

test("mysqlProtocol() answers mariadb's change of user in the configured name, again and again", async () => {
  const connection = await mariadb.createConnection({ ...hardCoded, port: serving.port });
  for (const database of ["mysql", "shop", "mysql"]) {
    await connection.query("SET @mine = 1");
    await connection.changeUser({ user: "somebody", password: "else", database });
    assert.deepEqual([...(await connection.query<unknown[]>(whoAmI))], [{ user: "app@%", name: database, mine: null }]);
  }
  await connection.end();
});

test("mysqlProtocol() serves a pool that resets its connections", async () => {
  const pool = mariadb.createPool({ ...hardCoded, port: serving.port, connectionLimit: 4, resetAfterUse: true });
  const rows = await Promise.all(Array.from({ length: 20 }, (_, n) => pool.query<{ n: number }[]>(`SELECT ${n} AS n`)));
  assert.deepEqual(
    rows.map((row) => row[0]?.n),
    Array.from({ length: 20 }, (_, n) => n),
  );
  await pool.end();
});

test("mysqlProtocol() serves the mariadb client, and the file it loads", async () => {
  const words = [
    "--no-defaults",
    "-h127.0.0.1",
    `-P${serving.port}`,
    "-ulegacy",
    "-plong ago",
    "--skip-ssl",
    "-N",
    "-B",
    "--local-infile=1",
  ];
  const file = join(server.folder, "cli.csv");
  writeFileSync(file, "1\tone\n2\ttwo\n");
  const statements = `USE shop; LOAD DATA LOCAL INFILE '${file}' INTO TABLE items; SELECT id, note FROM items; TRUNCATE items; SELECT CURRENT_USER()`;
  assert.equal((await run("mariadb", [...words, "-e", statements])).stdout, "1\tone\n2\ttwo\napp@%\n");
});

test("mysqlProtocol() has clients do without compression, which would hide commands", async () => {
  const words = ["--no-defaults", "-h127.0.0.1", `-P${serving.port}`, "-ulegacy", "--skip-ssl", "--compress", "-NB"];
  assert.match((await run("mariadb", [...words, "-e", "SHOW SESSION STATUS LIKE 'Compression'"])).stdout, /OFF/);
  const connection = await mysql2.createConnection({ ...hardCoded, port: serving.port, compress: true });
  await connection.changeUser({ user: "legacy", database: "shop" });
  assert.deepEqual((await connection.query("SELECT CURRENT_USER() AS user"))[0], [{ user: "app@%" }]);
  await connection.end();
});

test("mysqlProtocol() logs in with ed25519, and changes the user with it too", async () => {
  const login = { username: value("curve"), password: value("of any length at all, not only 32 bytes"), maxAgeMs: undefined };
  const { port } = await serveMysql(scope, mysqlListenerTo(server.port, { login }));
  const connection = await mysql2.createConnection({ host: "127.0.0.1", port, user: "legacy" });
  await connection.changeUser({ user: "legacy", password: "x", database: "" });
  const [rows] = await connection.query("SELECT CURRENT_USER() AS user");
  assert.deepEqual(rows, [{ user: "curve@%" }]);
  await connection.end();
});

test("mysqlProtocol() puts the configured database in place of the client's, at a change of user too", async () => {
  const { port } = await serveMysql(scope, mysqlListenerTo(server.port, { database: "shop" }));
  const connection = await mysql2.createConnection({ host: "127.0.0.1", port, user: "legacy", database: "nothing of the kind" });
  const ask = async (): Promise<unknown> => (await connection.query("SELECT DATABASE() AS name"))[0];
  assert.deepEqual(await ask(), [{ name: "shop" }]);
  await connection.changeUser({ user: "legacy", database: "nor this" });
  assert.deepEqual(await ask(), [{ name: "shop" }]);
  await connection.end();
});

test("mysqlProtocol() connects to a UNIX socket", async () => {
  const listener = mysqlListenerTo(server.port);
  const upstream = { ...listener.upstream, endpoints: [{ kind: "unix", path: server.socketPath } as const] };
  const { port } = await serveMysql(scope, { ...listener, upstream });
  const connection = await mysql2.createConnection({ ...hardCoded, port });
  const [rows] = await connection.query<mysql2.RowDataPacket[]>(
    "SELECT HOST FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()",
  );
  assert.deepEqual(rows, [{ HOST: "localhost" }]);
  await connection.end();
});

test("mysqlProtocol() tells of a refused login with the server's number, and names no one", async () => {
  const login = { username: value("app"), password: value("the wrong one"), maxAgeMs: undefined };
  const { port, outcomes } = await serveMysql(scope, mysqlListenerTo(server.port, { login }));
  const refusal = await refusalAt(port);
  assert.deepEqual([refusal.errno, refusal.sqlState], [1045, "28000"]);
  assert.doesNotMatch(refusal.message, /app|wrong/);
  await eventually(() => outcomes.length === 1, { withinMs: 2000 });
  assert.match(String(outcomes[0]), /refused the login without TLS \(error 1045\)/);
});

test("mysqlProtocol() passes on that there is no such database", async () => {
  const refusal = await refusalAt(serving.port, { database: "nowhere" });
  assert.deepEqual(refusal, { errno: 1049, sqlState: "42000", message: "Unknown database 'nowhere'" });
});

test("mysqlProtocol() tells a user with too many connections apart from a refused one", async () => {
  const login = { username: value("one"), password: value("the right one"), maxAgeMs: undefined };
  const { port, outcomes } = await serveMysql(scope, mysqlListenerTo(server.port, { login }));
  const connection = await mysql2.createConnection({ host: "127.0.0.1", port, user: "legacy" });
  const refusal = await refusalAt(port);
  assert.deepEqual([refusal.errno, refusal.sqlState], [1226, "42000"]);
  assert.doesNotMatch(refusal.message, /'one'/);
  await eventually(() => outcomes.length === 1, { withinMs: 2000 });
  assert.equal((outcomes[0] as { code?: unknown }).code, "UPSTREAM_BUSY");
  await connection.end();
});

test("mysqlProtocol() tells an upstream's refusal to the client before there is a greeting", async () => {
  await server.sql("SET GLOBAL max_connections = 10");
  const sockets = Array.from({ length: 12 }, () => connect(server.port, "127.0.0.1").on("error", () => {}));
  try {
    await eventually(async () => assert.equal((await refusalAt(serving.port)).errno, 1040), { withinMs: 3000 });
  } finally {
    for (const socket of sockets) socket.destroy();
    await eventually(() => server.sql("SET GLOBAL max_connections = 150"), { withinMs: 3000 });
  }
});

test("mysqlProtocol() says what is wrong in numbers that MariaDB's own client believes a server", async () => {
  const closed = await serveMysql(scope, mysqlListenerTo(1));
  const args = ["--no-defaults", "--skip-ssl", "--host=127.0.0.1", `--port=${closed.port}`, "--user=legacy", "-e", "SELECT 1"];
  await assert.rejects(run("mariadb", args), { stderr: /^ERROR 1158 .*: Cannot connect to 127\.0\.0\.1:1/ });
});

test("mysqlProtocol() checks with a login, and says which role it found", async () => {
  const listener = mysqlListenerTo(server.port);
  const wrong = mysqlListenerTo(server.port, { login: { ...listener.login, password: value("the wrong one") } });
  assert.equal(await checkOf(listener), "read-write");
  await assert.rejects(checkOf(wrong), { code: "LOGIN_REFUSED" });
  await server.sql("SET GLOBAL read_only = 1");
  try {
    assert.equal(await checkOf(listener), "read-only");
    const wanted = { ...listener, upstream: { ...listener.upstream, target: "read-write" } as const };
    const { port, outcomes } = await serveMysql(scope, wanted);
    assert.equal((await refusalAt(port)).errno, 1158);
    await eventually(() => outcomes.length === 1, { withinMs: 2000 });
    assert.equal((outcomes[0] as { code?: unknown }).code, "UPSTREAM_ROLE");
  } finally {
    await server.sql("SET GLOBAL read_only = 0");
  }
});

test("mysqlProtocol() uses a changed password with the next connection, and at a change of user", async () => {
  const path = join(server.folder, "password");
  writeFileSync(path, "first\n");
  await server.sql("CREATE USER moves IDENTIFIED BY 'first'");
  const login = { username: value("moves"), password: { kind: "file", path } as const, maxAgeMs: undefined };
  const { port, used } = await serveMysql(scope, mysqlListenerTo(server.port, { login }));
  const connection = await mysql2.createConnection({ host: "127.0.0.1", port, user: "legacy" });
  await server.sql("ALTER USER moves IDENTIFIED BY 'second'");
  writeFileSync(path, "second\n");
  await connection.changeUser({ user: "legacy" });
  await connection.query("SELECT 1");
  await connection.end();
  const versions = used.filter(({ source }) => source.kind === "file").map(({ version }) => version);
  assert.equal(new Set(versions).size, 2);
});

test("mysqlProtocol() has a session of too old credentials end after its transaction, not within", async () => {
  const base = mysqlListenerTo(server.port);
  const listener = { ...base, login: { ...base.login, maxAgeMs: 1 } };
  const protocol = mysqlProtocol(listener, { credentials: fileCredentials, log: silentLogger });
  assert.ok(protocol.kind === "wire");
  const isTooOld = new AbortController();
  let asked = 0;
  const serve: typeof protocol.serve = async (client, session) => {
    const splice: typeof session.splice = async (one, other, { isPause = () => true, ...taps } = {}) => {
      const counted = (): boolean => ++asked > 0 && isPause();
      await session.splice(one, other, { ...taps, isPause: counted, finish: isTooOld.signal });
    };
    await protocol.serve(client, { ...session, splice });
  };
  const { port } = await startServing({ ...protocol, serve }, listener, { scope });
  const connection = await mysql2.createConnection({ ...hardCoded, port });
  await connection.beginTransaction();
  await connection.query("SELECT 1");
  isTooOld.abort();
  await eventually(() => asked > 1, { withinMs: 3000 });
  await connection.query("SELECT 2");
  await connection.commit();
  await eventually(async () => await assert.rejects(connection.query("SELECT 3")), { withinMs: 3000, everyMs: 200 });
});

async function checkOf(listener: MysqlListenerConfig): Promise<unknown> {
  const { check } = mysqlProtocol(listener, { credentials: fileCredentials, log: silentLogger });
  return await check?.(targetOf(listener), AbortSignal.timeout(2000));
}
