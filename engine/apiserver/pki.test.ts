import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openPki } from "./pki.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;

test("openPki() makes certificates once, that verify, name the server and are for their owner alone to read", async () => {
  await inTemporaryFolder(async (folder) => {
    const first = await openPki(folder, ["pod-box", "192.0.2.7", "0.0.0.0"]);
    const [ca, server, admin] = [first.ca, first.serverCert, first.adminCert].map((pem) => new X509Certificate(pem));
    assert.ok(ca !== undefined && server !== undefined && admin !== undefined);
    assert.ok(server.verify(ca.publicKey) && admin.verify(ca.publicKey) && ca.ca && !server.ca);
    for (const host of ["localhost", "pod-box", "kubernetes.default.svc"]) assert.equal(server.checkHost(host), host);
    for (const address of ["127.0.0.1", "::1", "192.0.2.7"]) assert.ok(server.checkIP(address) !== undefined, address);
    assert.equal(server.checkIP("0.0.0.0"), undefined);
    assert.equal(admin.subject, "O=system:masters\nCN=kubernetes-admin");
    for (const file of await readdir(folder)) assert.equal((await stat(join(folder, file))).mode & 0o777, 0o600, file);
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
    assert.deepEqual(await openPki(folder, ["pod-box", "192.0.2.7"]), first);
  });
});

test("openPki() renews a certificate near its end, for new hosts, or damaged, and keeps the authority", async () => {
  await inTemporaryFolder(async (folder) => {
    const first = await openPki(folder, ["a"]);
    const later = await openPki(folder, ["a"], Date.now() + 300 * DAY_MS);
    assert.notEqual(later.serverCert, first.serverCert);
    assert.notEqual(later.adminCert, first.adminCert);
    assert.equal(later.ca, first.ca);
    const other = await openPki(folder, ["b"], Date.now() + 300 * DAY_MS);
    assert.notEqual(other.serverCert, later.serverCert);
    assert.equal(other.adminCert, later.adminCert);
    await writeFile(join(folder, "server.crt"), "not a certificate");
    assert.notEqual((await openPki(folder, ["b"])).serverCert, other.serverCert);
    const muchLater = await openPki(folder, ["b"], Date.now() + 3_500 * DAY_MS);
    assert.notEqual(muchLater.ca, first.ca);
    assert.ok(new X509Certificate(muchLater.adminCert).verify(new X509Certificate(muchLater.ca).publicKey));
  });
});

async function inTemporaryFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "peapod-pki-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
