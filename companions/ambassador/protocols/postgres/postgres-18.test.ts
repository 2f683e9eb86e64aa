import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { promisify } from "node:util";
import { Scope } from "@peapod/kit";
import { splice } from "../../flow/splice.ts";
import { dial } from "../../flow/wire.ts";
import { makeAuthority, type CertificateFiles, type TestAuthority } from "../../../frame/credentials/certificates.fixture.ts";
import { psql, psqlError, psqlInterrupted, type Settings, startAmbassador } from "./ambassador.fixture.ts";
import { formatSslRequest } from "./client-request.ts";
import { startScripted } from "./scripted-server.fixture.ts";
import { libpq18, type PostgresServer, startPostgres } from "./postgres-server.fixture.ts";

const scope = new Scope();
after(async () => await scope[Symbol.asyncDispose]());

const WHO = "SELECT current_user || '@' || current_database()";
const IS_SSL = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
const NEW = "min_protocol_version=3.2 max_protocol_version=3.2";

let authority: TestAuthority;
let certificate: CertificateFiles;
let server: PostgresServer;
before(async () => {
  authority = await makeAuthority(scope);
  certificate = await authority.issue();
  server = await startPostgres(scope, {
    version: 18,
    auth: "scram-sha-256",
    hba: ["hostssl all nobody 127.0.0.1/32 trust"],
    tls: certificate,
    users: { app: "secret", nobody: "unused" },
    databases: ["legacydb"],
  });
});

const verified = (more: Settings = {}): Settings => ({
  endpoints: [`127.0.0.1:${server.port}`],
  tls: { mode: "verify-full", caFile: authority.caFile, ...more },
});

test("postgresProtocol speaks protocol 3.2, and cancels with its long keys", async () => {
  await using own = new Scope();
  const ambassador = await startAmbassador(own, verified());
  assert.equal(await psql(ambassador.port, WHO, NEW, libpq18), "app@legacydb");
  assert.match(await psqlInterrupted(ambassador.port, "SELECT pg_sleep(62)", NEW, libpq18), /canceling statement due to user request/);
});

test("postgresProtocol tells a client of 3.2 what an older server speaks", async () => {
  await using own = new Scope();
  const older = await startPostgres(own, { version: 15, auth: "trust" });
  const ambassador = await startAmbassador(own, { endpoints: [`127.0.0.1:${older.port}`] }, { login: { username: "postgres" } });
  assert.equal(await psql(ambassador.port, WHO, "dbname=postgres max_protocol_version=3.2", libpq18), "postgres@postgres");
  assert.match(await psqlError(ambassador.port, `dbname=postgres ${NEW}`, libpq18), /protocol/);
});

test("postgresProtocol begins with TLS where the server speaks it at once", async () => {
  await using own = new Scope();
  const ambassador = await startAmbassador(own, verified({ direct: true }));
  assert.equal(await psql(ambassador.port, `${WHO}; ${IS_SSL}`), "app@legacydb\nt");
});

test("postgresProtocol binds SCRAM to the channel, and requires it where it is told to", async () => {
  await using own = new Scope();
  const bound = await startAmbassador(own, verified(), { channelBinding: "require" });
  assert.equal(await psql(bound.port, WHO), "app@legacydb");
  const unbound = await startAmbassador(own, verified(), { channelBinding: "disable" });
  assert.equal(await psql(unbound.port, WHO), "app@legacydb");
  const login = { username: "nobody", passwordFile: bound.passwordFile };
  const unasked = await startAmbassador(own, verified(), { login, channelBinding: "require" });
  assert.match(await psqlError(unasked.port), /without the channel binding that the configuration requires/);
});

test("postgresProtocol does not log in through somebody in between, whose certificate it does not check, where both can bind", async () => {
  await using own = new Scope();
  const port = await startInTheMiddle(own, await (await makeAuthority(own)).issue(), server.port);
  const upstream = { endpoints: [`127.0.0.1:${port}`], tls: { mode: "require" } };
  const bound = await startAmbassador(own, upstream);
  assert.match(await psqlError(bound.port), /refused the ambassador's credentials/);
  const unbound = await startAmbassador(own, upstream, { channelBinding: "disable" });
  assert.equal(await psql(unbound.port, WHO), "app@legacydb", "or else the binding was not what stopped it");
});

test("postgresProtocol does not let somebody in between take the binding away by a certificate that allows none", async () => {
  await using own = new Scope();
  const { folder } = await makeAuthority(own);
  const [certFile, keyFile] = [join(folder, "ed.crt"), join(folder, "ed.key")];
  const args = ["-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=localhost", "-keyout", keyFile, "-out", certFile];
  await promisify(execFile)("openssl", ["req", ...args]);
  const port = await startInTheMiddle(own, { certFile, keyFile }, server.port);
  const ambassador = await startAmbassador(own, { endpoints: [`127.0.0.1:${port}`], tls: { mode: "require" } });
  assert.match(await psqlError(ambassador.port), /allows no channel binding/);
});

test("postgresProtocol speaks TLS to the application: when asked, at once, and not in the clear before it", async () => {
  await using own = new Scope();
  const ambassador = await startAmbassador(own, verified(), { serverTls: certificate });
  const tls = `sslmode=verify-full sslrootcert=${authority.caFile}`;
  assert.equal(await psql(ambassador.port, WHO, tls), "app@legacydb");
  assert.equal(await psql(ambassador.port, WHO, `${tls} sslnegotiation=direct`, libpq18), "app@legacydb");
  assert.match(await psqlError(ambassador.port, "sslmode=disable"), /speaks only TLS/);
  assert.match(await psqlInterrupted(ambassador.port, "SELECT pg_sleep(64)", tls), /canceling statement due to user request/);
});

test("postgresProtocol lets in only clients with a certificate of the authority, where one is named", async () => {
  await using own = new Scope();
  const ambassador = await startAmbassador(own, verified(), { serverTls: { ...certificate, clientCaFile: authority.caFile } });
  const shows = ({ certFile, keyFile }: CertificateFiles): string => `sslmode=require sslcert=${certFile} sslkey=${keyFile}`;
  const [friend, stranger] = [await authority.issue({ name: "friend" }), await (await makeAuthority(own)).issue({ name: "stranger" })];
  assert.equal(await psql(ambassador.port, WHO, shows(friend)), "app@legacydb");
  await psqlError(ambassador.port, "sslmode=require");
  await psqlError(ambassador.port, shows(stranger));
});

/** Speaks TLS with whoever comes, with its own certificate, and with the server, and passes on what it sees. */
async function startInTheMiddle(own: Scope, { certFile, keyFile }: CertificateFiles, serverPort: number): Promise<number> {
  const secureContext = createSecureContext({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
  return await startScripted(own, async ({ wire }) => {
    await wire.read(8);
    wire.write(Buffer.from("S"));
    const victim = await wire.acceptTls(secureContext, { requestCert: false });
    const upstream = await dial({ kind: "tcp", host: "127.0.0.1", port: serverPort }, { keepAliveMs: undefined }, own.signal);
    upstream.write(formatSslRequest());
    await upstream.read(1);
    await upstream.startTls({ rejectUnauthorized: false });
    await splice(wire, upstream).done;
    victim.destroy();
  });
}
