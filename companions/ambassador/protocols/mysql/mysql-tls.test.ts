import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { eventually, Scope } from "@peapod/kit";
import mysql2 from "mysql2/promise";
import type { MysqlListenerConfig, UpstreamTlsConfig } from "../../config/config.ts";
import { type CertificateFiles, makeAuthority, type TestAuthority } from "../../../frame/credentials/certificates.fixture.ts";
import { listenerTo, type Serving } from "../tls/serving.fixture.ts";
import { type MariadbServer, startMariadb } from "./mariadb-server.fixture.ts";
import { mysqlListenerTo, refusalAt, serveMysql, value } from "./mysql.fixture.ts";

const run = promisify(execFile);
const scope = new Scope();
let authority: TestAuthority;
let certificate: CertificateFiles;
let server: MariadbServer;

before(async () => {
  authority = await makeAuthority(scope);
  certificate = await authority.issue();
  server = await startMariadb(scope, { flags: ["--require-secure-transport=ON"], tls: { ...certificate, caFile: authority.caFile } });
  await server.sql("CREATE USER app IDENTIFIED BY 'the right one'; CREATE USER bearer REQUIRE X509");
});
after(() => scope[Symbol.asyncDispose]());

function listenerOver(tls: Partial<UpstreamTlsConfig> | undefined, given: Partial<MysqlListenerConfig> = {}): MysqlListenerConfig {
  return mysqlListenerTo(server.port, { ...(tls === undefined ? {} : { upstream: listenerTo(server.port, tls).upstream }), ...given });
}

async function lastCode({ outcomes }: Serving): Promise<unknown> {
  await eventually(() => outcomes.length > 0, { withinMs: 3000 });
  return (outcomes.at(-1) as { code?: unknown }).code; // errors with a code, in these tests
}

for (const mode of ["verify-full", "verify-ca", "require", "prefer"] as const) {
  test(`mysqlProtocol() speaks TLS with the upstream, mode ${mode}, and changes the user over it`, async () => {
    const { port } = await serveMysql(scope, listenerOver({ mode, caFile: authority.caFile }));
    const connection = await mysql2.createConnection({ host: "127.0.0.1", port, user: "legacy" });
    await connection.changeUser({ user: "legacy", password: "x" });
    const [rows] = await connection.query<mysql2.RowDataPacket[]>("SHOW SESSION STATUS LIKE 'Ssl_version'");
    assert.deepEqual(rows, [{ Variable_name: "Ssl_version", Value: "TLSv1.3" }]);
    await connection.end();
  });
}

test("mysqlProtocol() says that it went without TLS when a server that insists on it refuses the login", async () => {
  const serving = await serveMysql(scope, listenerOver(undefined));
  const refusal = await refusalAt(serving.port);
  assert.equal(refusal.errno, 1045);
  assert.match(refusal.message, /without TLS/);
  assert.equal(await lastCode(serving), "LOGIN_REFUSED");
});

test("mysqlProtocol() sends nothing of the login to a server whose certificate does not hold", async () => {
  const other = await makeAuthority(scope);
  const before = await refusedLogins();
  const serving = await serveMysql(scope, listenerOver({ caFile: other.caFile }));
  assert.equal((await refusalAt(serving.port)).errno, 1043);
  assert.equal(await lastCode(serving), "UPSTREAM_UNTRUSTED");
  assert.equal(await refusedLogins(), before);
});

async function refusedLogins(): Promise<string> {
  return await server.sql("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'ACCESS_DENIED_ERRORS'");
}

test("mysqlProtocol() logs in with a certificate in place of a password", async () => {
  const { certFile, keyFile } = await authority.issue({ name: "client" });
  const login = { username: value("bearer"), password: undefined, maxAgeMs: undefined };
  const { port } = await serveMysql(scope, listenerOver({ caFile: authority.caFile, certFile, keyFile }, { login }));
  const connection = await mysql2.createConnection({ host: "127.0.0.1", port, user: "legacy", password: "long ago" });
  assert.deepEqual((await connection.query("SELECT CURRENT_USER() AS user"))[0], [{ user: "bearer@%" }]);
  await connection.end();
});

test("mysqlProtocol() speaks TLS with clients where a certificate is configured", async () => {
  const serverTls = { ...certificate, clientCaFile: undefined };
  const { port } = await serveMysql(scope, listenerOver({ caFile: authority.caFile }, { serverTls }));
  const ssl = { ca: readFileSync(authority.caFile) };
  const connection = await mysql2.createConnection({ host: "127.0.0.1", port, user: "legacy", ssl });
  assert.deepEqual((await connection.query("SELECT CURRENT_USER() AS user"))[0], [{ user: "app@%" }]);
  await connection.end();
  const words = [
    "--no-defaults",
    "-h127.0.0.1",
    `-P${port}`,
    "-ulegacy",
    `--ssl-ca=${authority.caFile}`,
    "--ssl-verify-server-cert",
    "-NB",
  ];
  assert.equal((await run("mariadb", [...words, "-e", "SELECT CURRENT_USER()"])).stdout, "app@%\n");
});

for (const wants of ["a certificate", "a client authority"]) {
  test(`mysqlProtocol() refuses a client without TLS where a listener has ${wants}, in MySQL's words`, async () => {
    const serverTls = { ...certificate, clientCaFile: wants === "a certificate" ? undefined : authority.caFile };
    const serving = await serveMysql(scope, listenerOver({ caFile: authority.caFile }, { serverTls }));
    const refusal = await refusalAt(serving.port);
    assert.deepEqual([refusal.errno, refusal.sqlState], [3159, "HY000"]);
    assert.match(refusal.message, /only TLS/);
    assert.equal(await lastCode(serving), "CLIENT_PROTOCOL");
  });
}
