import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { eventually, Scope } from "@peapod/kit";
import { makeAuthority, type CertificateFiles, type TestAuthority } from "../../../frame/credentials/certificates.fixture.ts";
import { psql, psqlError, psqlInterrupted, type Settings, startAmbassador } from "./ambassador.fixture.ts";
import { type PostgresServer, startPostgres } from "./postgres-server.fixture.ts";

const scope = new Scope();
after(async () => await scope[Symbol.asyncDispose]());

const METHODS = ["trust", "password", "md5", "scram-sha-256"] as const;
const WHO = "SELECT current_user || '@' || current_database()";
const IS_SSL = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

let authority: TestAuthority;
let certificate: CertificateFiles;
let server: PostgresServer;
/** Trusts everybody. */
let withoutTls: PostgresServer;
before(async () => {
  authority = await makeAuthority(scope);
  certificate = await authority.issue();
  const byUser = METHODS.map((method) => `host all with-${method} 127.0.0.1/32 ${method}`);
  withoutTls = await startPostgres(scope, { version: 15, auth: "trust" });
  server = await startPostgres(scope, {
    version: 15,
    auth: "scram-sha-256",
    hba: [...byUser, "hostssl all with-cert 127.0.0.1/32 cert", "host all nobody 127.0.0.1/32 reject"],
    tls: { ...certificate, caFile: authority.caFile },
    requiresTls: false,
    users: { app: "secret", "with-cert": "unused" },
    databases: ["legacydb", "orders"],
  });
  const roles = METHODS.map(
    (method) => `
    SET password_encryption = '${method === "md5" ? "md5" : "scram-sha-256"}';
    CREATE ROLE "with-${method}" LOGIN PASSWORD 'secret';`,
  );
  await server.sql(roles.join("\n"));
});

const plain = (): Settings => ({ endpoints: [`127.0.0.1:${server.port}`] });
const verified = (): Settings => ({ ...plain(), tls: { mode: "verify-full", caFile: authority.caFile } });

for (const method of METHODS) {
  test(`postgresProtocol logs in by ${method}, without and with TLS`, async () => {
    await using own = new Scope();
    const first = await startAmbassador(own, plain());
    const login = { username: `with-${method}`, passwordFile: first.passwordFile };
    const plaintext = await startAmbassador(own, plain(), { login, weakestAuth: "password" });
    const withTls = await startAmbassador(own, verified(), { login });
    assert.equal(await psql(plaintext.port, `${WHO}; ${IS_SSL}`), `with-${method}@legacydb\nf`);
    assert.equal(await psql(withTls.port, `${WHO}; ${IS_SSL}`), `with-${method}@legacydb\nt`);
  });
}

test("postgresProtocol shows a client certificate where the upstream asks for one", async () => {
  await using own = new Scope();
  const client = await authority.issue({ name: "with-cert" });
  const tls = { mode: "verify-full", caFile: authority.caFile, ...client };
  const ambassador = await startAmbassador(own, { ...plain(), tls }, { login: { username: "with-cert" } });
  assert.equal(await psql(ambassador.port, WHO), "with-cert@legacydb");
});

test("postgresProtocol keeps the client's parameters, and puts the configured database in place of its own", async () => {
  await using own = new Scope();
  const ambassador = await startAmbassador(own, plain(), { database: "orders" });
  const show = "SELECT current_database(), current_setting('application_name'), current_setting('search_path'), pg_client_encoding()";
  const connection = "application_name=shop client_encoding=latin1 options='-c search_path=one,two'";
  assert.equal(await psql(ambassador.port, show, connection), "orders|shop|one,two|LATIN1");
});

test("postgresProtocol has the application's user in the access log, not the one of the Secret", async () => {
  await using own = new Scope();
  const ambassador = await startAmbassador(own, plain());
  assert.equal(await psql(ambassador.port, WHO), "app@legacydb");
  await eventually(() => ambassador.log().includes("connection ended"), { withinMs: 5_000 });
  assert.match(ambassador.log(), /"user":"legacy","database":"legacydb"/);
  assert.doesNotMatch(ambassador.log(), /"app"/);
});

test("postgresProtocol reaches a server on a UNIX socket, and cancels a query there", async () => {
  await using own = new Scope();
  const endpoints = [`unix:${server.folder}/.s.PGSQL.${server.port}`];
  const ambassador = await startAmbassador(own, { endpoints }, { login: { username: "app" } }); // it trusts who reaches its socket
  assert.equal(await psql(ambassador.port, `${WHO}; SELECT inet_server_addr() IS NULL`), "app@legacydb\nt");
  assert.match(await psqlInterrupted(ambassador.port, "SELECT pg_sleep(62)"), /canceling statement due to user request/);
});

test("postgresProtocol opens the database of the application's own name where it names none", async () => {
  await using own = new Scope();
  const ambassador = await startAmbassador(own, plain());
  assert.equal(await psql(ambassador.port, WHO, "user=legacydb dbname=legacydb"), "app@legacydb");
});

test("postgresProtocol serves replication connections", async () => {
  await using own = new Scope();
  const ambassador = await startAmbassador(own, plain());
  for (const replication of ["database", "true"]) {
    const [identifier = "", timeline] = (await psql(ambassador.port, "IDENTIFY_SYSTEM", `replication=${replication}`)).split("|");
    assert.match(identifier, /^[0-9]+$/);
    assert.equal(timeline, "1");
  }
});

test("postgresProtocol uses a new password at the next login, and when the file changes during one", async () => {
  await using own = new Scope();
  const ambassador = await startAmbassador(own, plain(), {});
  await writeFile(ambassador.passwordFile, "not yet\n");
  const refusal = await psqlError(ambassador.port);
  assert.match(refusal, /FATAL: {2}The upstream 127\.0\.0\.1:\d+ refused the ambassador's credentials \(SQLSTATE 28P01\)/);
  assert.doesNotMatch(refusal + ambassador.log(), /not yet|"app"/);
  await writeFile(ambassador.passwordFile, "secret\n");
  assert.equal(await psql(ambassador.port, WHO), "app@legacydb");
});

test("postgresProtocol prepares a password for SCRAM as PostgreSQL does, also one that the rules forbid", async () => {
  await using own = new Scope();
  const ambassador = await startAmbassador(own, plain(), {});
  const login = { username: "polyglot", passwordFile: ambassador.passwordFile };
  const polyglot = await startAmbassador(own, plain(), { login });
  await server.sql("CREATE ROLE polyglot LOGIN");
  for (const [stored, used] of [
    ["\u00aa\u2168\u00a0pa\u00adss", "aIX pass"],
    ["aIX", "\u00aa\u2168"],
    ["\u2460\u{1f600}", "\u2460\u{1f600}"],
    ["\u0627\u00aa1", "\u0627\u00aa1"],
  ] as const) {
    await server.sql(`ALTER ROLE polyglot PASSWORD '${stored}'`);
    await writeFile(ambassador.passwordFile, used);
    assert.equal(await psql(polyglot.port, WHO), "polyglot@legacydb", used);
  }
});

test("postgresProtocol passes on what the upstream says of the database and the limits, and keeps what it says of the login", async () => {
  await using own = new Scope();
  const ambassador = await startAmbassador(own, plain(), {});
  assert.match(await psqlError(ambassador.port, "dbname=nowhere"), /FATAL: {2}database "nowhere" does not exist/);
  const rejected = await startAmbassador(own, plain(), { login: { username: "nobody" } });
  const said = await psqlError(rejected.port);
  assert.match(said, /refused the ambassador's credentials \(SQLSTATE 28000\)/);
  assert.doesNotMatch(said, /nobody|pg_hba/);
});

test("postgresProtocol says what it could not do before the session, with an SQLSTATE", async () => {
  await using own = new Scope();
  const refused = await startAmbassador(own, { endpoints: ["127.0.0.1:1"] });
  assert.match(await psqlError(refused.port), /FATAL: {2}Cannot connect to 127\.0\.0\.1:1/);
  const full = await startAmbassador(own, plain(), { limits: { connections: 1 } });
  const held = psql(full.port, "SELECT pg_sleep(60)").catch(String);
  await eventually(async () => (await server.sql("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'")) === "1\n", {
    withinMs: 5_000,
  });
  await eventually(async () => (await psqlError(full.port)).includes("as many as may be"), { withinMs: 5_000 });
  await server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'");
  assert.match(await held, /terminating connection due to administrator command/);
});

test("postgresProtocol refuses to speak plain text, or to a stranger, where the mode forbids it", async () => {
  await using own = new Scope();
  const stranger = await makeAuthority(own);
  const untrusting = await startAmbassador(own, { ...plain(), tls: { mode: "verify-full", caFile: stranger.caFile } });
  assert.match(await psqlError(untrusting.port), /FATAL: {2}Cannot speak TLS with 127\.0\.0\.1/);
  const endpoints = [`127.0.0.1:${withoutTls.port}`];
  const required = await startAmbassador(own, { endpoints, tls: { mode: "require" } });
  assert.match(await psqlError(required.port), /FATAL: {2}The upstream .* does not speak TLS/);
  const preferred = await startAmbassador(own, { endpoints, tls: { mode: "prefer" } }, { login: { username: "postgres" } });
  assert.equal(await psql(preferred.port, WHO, "dbname=postgres"), "postgres@postgres");
});

test("postgresProtocol goes to the server of the role that the listener wants", async () => {
  await using own = new Scope();
  const standby = await startPostgres(own, { version: 15, auth: "trust", isStandby: true });
  const endpoints = [`127.0.0.1:${standby.port}`, `127.0.0.1:${withoutTls.port}`];
  const login = { username: "postgres" };
  for (const [target, expected] of [
    ["read-write", "f"],
    ["read-only", "t"],
    ["prefer-read-only", "t"],
    ["any", "t"],
  ] as const) {
    const ambassador = await startAmbassador(own, { endpoints, target, retry: { attempts: 3 } }, { login });
    assert.equal(await psql(ambassador.port, "SELECT pg_is_in_recovery()", "dbname=postgres"), expected, target);
  }
  const only = await startAmbassador(own, { endpoints: endpoints.slice(0, 1), target: "read-write" }, { login });
  assert.match(await psqlError(only.port, "dbname=postgres"), /is read-only, and read-write is wanted/);
});

test("postgresProtocol cancels the query of the session that the key belongs to, over TLS", async () => {
  await using own = new Scope();
  const ambassador = await startAmbassador(own, verified());
  const error = await psqlInterrupted(ambassador.port, "SELECT pg_sleep(61)");
  assert.match(error, /canceling statement due to user request/);
});

test("postgresProtocol checks a server by logging in to it", async () => {
  await using own = new Scope();
  const healthCheck = { interval: "200ms", timeout: "200ms", healthyAfter: 1, unhealthyAfter: 1 };
  const ambassador = await startAmbassador(own, { ...verified(), target: "read-write", healthCheck });
  await eventually(() => ambassador.endpoints()[0]?.health === "healthy", { withinMs: 5_000 });
  assert.equal(ambassador.endpoints()[0]?.role, "read-write");
  await writeFile(ambassador.passwordFile, "wrong\n");
  await eventually(() => ambassador.endpoints()[0]?.health === "unhealthy", { withinMs: 5_000 });
  assert.equal(ambassador.endpoints()[0]?.lastFailure?.code, "LOGIN_REFUSED");
});
