import { type Credentials, credentialsFrom } from "./credentials.ts";
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, rmSync } from "node:fs";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { connect, TLSSocket } from "node:tls";
import type { UpstreamTlsConfig } from "../config/config.ts";
import { AmbassadorError } from "../errors.ts";
import { makeAuthority } from "../../frame/credentials/certificates.fixture.ts";
import { type CredentialsTest, credentialsTest, SecretVolume } from "../../frame/credentials/credentials.fixture.ts";

const plain: UpstreamTlsConfig = {
  mode: "verify-full",
  caFile: undefined,
  certFile: undefined,
  keyFile: undefined,
  serverName: undefined,
  minVersion: "TLSv1.2",
  direct: false,
};

const contexts = (t: CredentialsTest): Credentials => credentialsFrom(t.credentials);

function isMissing(...parts: readonly string[]): (error: unknown) => boolean {
  return (error) =>
    error instanceof AmbassadorError && error.code === "CREDENTIAL_MISSING" && parts.every((part) => error.message.includes(part));
}

/** A server that asks for a client's certificate and answers with its subject. */
async function listen(t: CredentialsTest, certFile: string, keyFile: string, clientCaFile: string): Promise<number> {
  const secureContext = contexts(t).serverContext({ certFile, keyFile, clientCaFile });
  const server = createServer((plainSocket) => {
    const socket = new TLSSocket(plainSocket, { isServer: true, secureContext, requestCert: true, rejectUnauthorized: false });
    socket.on("error", () => {}).on("secure", () => socket.end(String(socket.getPeerCertificate().subject?.CN)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.scope.defer(() => void server.close());
  return (server.address() as AddressInfo).port; // a TCP server's
}

async function visit(t: CredentialsTest, port: number, tls: UpstreamTlsConfig): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", servername: "localhost", secureContext: contexts(t).upstreamContext(tls) });
  let said = "";
  socket.setEncoding("utf8").on("data", (part: string) => (said += part));
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on("error", (cause: NodeJS.ErrnoException) => resolve(`refused: ${cause.code}`)).on("close", () => resolve(said));
  return await promise;
}

test("upstreamContext() trusts caFile alone, follows it when it is replaced, and shows the client's certificate", async () => {
  await using t = credentialsTest();
  const [ours, others] = await Promise.all([makeAuthority(t.scope), makeAuthority(t.scope)]);
  const [server, client] = [await ours.issue(), await ours.issue({ name: "the-client" })];
  const port = await listen(t, server.certFile, server.keyFile, ours.caFile);
  const caFile = join(t.folder, "ca.crt");
  copyFileSync(others.caFile, caFile);
  const tls = { ...plain, caFile, ...client };
  assert.match(await visit(t, port, tls), /^refused: /);
  copyFileSync(ours.caFile, caFile);
  assert.equal(await visit(t, port, tls), "the-client");
  assert.match(await visit(t, port, plain), /^refused: /, "the system's authorities do not know a test's");
});

test("upstreamContext() is the same as long as the files say the same", async () => {
  await using t = credentialsTest();
  const authority = await makeAuthority(t.scope);
  const pair = await authority.issue();
  const tls = { ...plain, ...pair, caFile: authority.caFile };
  const first = contexts(t).upstreamContext(tls);
  copyFileSync(authority.caFile, join(t.folder, "copy"));
  copyFileSync(join(t.folder, "copy"), authority.caFile);
  assert.equal(contexts(t).upstreamContext({ ...tls }), first);
  assert.notEqual(contexts(t).upstreamContext({ ...tls, minVersion: "TLSv1.3" }), first);
  assert.equal(contexts(t).upstreamContext(plain), contexts(t).upstreamContext({ ...plain, mode: "verify-ca" }));
});

test("serverContext() keeps the old pair while certificate and key do not belong together", async () => {
  await using t = credentialsTest();
  const authority = await makeAuthority(t.scope);
  const [old, next] = [await authority.issue({ name: "old" }), await authority.issue({ name: "next" })];
  const read = ({ certFile, keyFile }: typeof old) => ({
    "tls.crt": readFileSync(certFile, "utf8"),
    "tls.key": readFileSync(keyFile, "utf8"),
  });
  const volume = new SecretVolume(t.folder, read(old));
  const tls = { certFile: volume.path("tls.crt"), keyFile: volume.path("tls.key"), clientCaFile: undefined };
  const first = contexts(t).serverContext(tls);
  volume.swap({ ...read(old), "tls.crt": read(next)["tls.crt"] });
  for (let look = 0; look < 3; look += 1) assert.equal(contexts(t).serverContext(tls), first);
  assert.deepEqual(t.problems, [{ path: tls.certFile, reason: `the key in ${tls.keyFile} is not the certificate's` }]);
  assert.equal(t.credentials.problems().length, 1);
  volume.swap(read(next));
  const second = contexts(t).serverContext(tls);
  assert.notEqual(second, first);
  assert.deepEqual(t.credentials.problems(), []);
  assert.doesNotMatch(t.logged.join(""), /BEGIN|PRIVATE/);
});

test("serverContext() throws CREDENTIAL_MISSING for a pair that never matched, and takes the first that does", async () => {
  await using t = credentialsTest();
  const authority = await makeAuthority(t.scope);
  const [one, other] = [await authority.issue({ name: "one" }), await authority.issue({ name: "other" })];
  const keyFile = t.write("tls.key", readFileSync(other.keyFile));
  const tls = { certFile: one.certFile, keyFile, clientCaFile: undefined };
  assert.throws(() => contexts(t).serverContext(tls), isMissing(one.certFile, keyFile, "is not the certificate's"));
  copyFileSync(one.keyFile, keyFile);
  assert.ok(contexts(t).serverContext(tls));
});

test("upstreamContext() keeps the last good files wherever one is cut short", async () => {
  await using t = credentialsTest();
  const authority = await makeAuthority(t.scope);
  const pair = await authority.issue();
  const bundle = readFileSync(authority.caFile, "utf8") + readFileSync(pair.certFile, "utf8");
  const caFile = t.write("bundle.crt", bundle);
  const first = contexts(t).upstreamContext({ ...plain, caFile });
  const firstEnd = readFileSync(authority.caFile).length; // there, nothing shows that another followed
  for (let length = 0; length < bundle.length - 1; length += 1) {
    if (length === firstEnd || length === firstEnd - 1) continue;
    t.write("bundle.crt", bundle.slice(0, length));
    assert.ok(contexts(t).upstreamContext({ ...plain, caFile }) === first, `cut after ${length} bytes`);
  }
  t.write("bundle.crt", bundle);
  assert.equal(contexts(t).upstreamContext({ ...plain, caFile }), first);
});

const unusable: Readonly<Record<string, readonly [file: "caFile" | "certFile" | "keyFile", content: string, says: string]>> = {
  "a CA file without a certificate": ["caFile", "nothing\n", "has no certificate in PEM"],
  "a CA file with a certificate that is none": [
    "caFile",
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "cannot be parsed, number 1",
  ],
  "a key file with a certificate": [
    "keyFile",
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "has no private key in PEM",
  ],
  "a key with a passphrase": [
    "keyFile",
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    "passphrase",
  ],
};
for (const [what, [file, content, says]] of Object.entries(unusable)) {
  test(`upstreamContext() refuses ${what}, and says which file`, async () => {
    await using t = credentialsTest();
    const authority = await makeAuthority(t.scope);
    const pair = await authority.issue();
    const tls = { ...plain, caFile: authority.caFile, ...pair, [file]: t.write("bad.pem", content) };
    assert.throws(() => contexts(t).upstreamContext(tls), isMissing("bad.pem", says));
    rmSync(join(t.folder, "bad.pem"));
    assert.throws(() => contexts(t).upstreamContext(tls), isMissing("bad.pem", "is missing"));
  });
}
