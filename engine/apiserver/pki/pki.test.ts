import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { DAY_MS } from "./key-pair-file.ts";
import { openPki, type Pki } from "./pki.ts";

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
    const mended = await openPki(folder, ["b"]);
    assert.notEqual(mended.serverCert, other.serverCert);
    await writeFile(join(folder, "server.key"), mended.adminKey);
    assert.notEqual((await openPki(folder, ["b"])).serverKey, mended.adminKey);
  });
});

const clocks = [
  { off: "half an hour behind", days: -1 / 48 },
  { off: "a month behind", days: -30 },
  { off: "at the beginning of time", days: -Math.floor(Date.now() / DAY_MS) },
  { off: "nine years ahead", days: 3_300 },
  { off: "eleven years ahead, past the authority's end", days: 4_015 },
  { off: "in a century", days: 36_500 },
];
for (const { off, days } of clocks) {
  test(`openPki() with the clock ${off} leaves every kubeconfig of before working once the clock is right`, async () => {
    await inTemporaryFolder(async (folder) => {
      const right = Date.now();
      const before = await openPki(folder, ["a"], right);
      const wrong = await openPki(folder, ["a"], right + days * DAY_MS);
      assert.ok(wrong.ca.startsWith(before.ca), "The authority is no longer there");
      assertValid(wrong, right + days * DAY_MS);
      if (days < 0) assert.deepEqual(wrong, before);
      const after = await openPki(folder, ["a"], right);
      assert.ok(after.ca.startsWith(before.ca));
      assert.equal(authoritiesOf(after).length, days > 0 ? 2 : 1);
      assertTrusts(before, after);
      assertTrusts(after, before);
      assertValid(after, right);
    });
  });
}

test("openPki() hands over from one authority to the next with both trusted for 300 days", async () => {
  await inTemporaryFolder(async (folder) => {
    const start = Date.now();
    const at = (day: number): Promise<Pki> => openPki(folder, ["a"], start + day * DAY_MS);
    const first = await at(0);
    assert.equal((await at(3_200)).ca, first.ca);
    const both = await at(3_300);
    assert.equal(authoritiesOf(both).length, 2);
    assertTrusts(first, both);
    const handedOver = await at(3_600);
    assert.equal(handedOver.ca, both.ca);
    assertTrusts(both, handedOver);
    assertTrusts(handedOver, both);
    const [old, next] = authoritiesOf(handedOver);
    assert.ok(old !== undefined && next !== undefined);
    assert.ok(new X509Certificate(handedOver.serverCert).verify(next.publicKey));
    for (const day of [3_300, 3_500, 3_600, 3_700, 7_000]) assertValid(await at(day), start + day * DAY_MS);
  });
});

/** Whether who carries `client` gets on with a server of `server`. */
function assertTrusts(client: Pki, server: Pki): void {
  const verifies = (cert: string, by: Pki): boolean =>
    authoritiesOf(by).some(({ publicKey }) => new X509Certificate(cert).verify(publicKey));
  assert.ok(verifies(server.serverCert, client), "The client does not know the server's authority");
  assert.ok(verifies(client.adminCert, server), "The server does not know the client's authority");
}

function assertValid(pki: Pki, nowMs: number): void {
  for (const pem of [pki.serverCert, pki.adminCert]) {
    const cert = new X509Certificate(pem);
    const issuer = authoritiesOf(pki).find(({ publicKey }) => cert.verify(publicKey));
    assert.ok(issuer !== undefined);
    for (const each of [cert, issuer]) assert.ok(each.validFromDate.getTime() <= nowMs && each.validToDate.getTime() > nowMs, each.subject);
    assert.ok(cert.validToDate <= issuer.validToDate);
  }
}

function authoritiesOf({ ca }: Pki): X509Certificate[] {
  return (ca.match(/-----BEGIN[^]*?-----END CERTIFICATE-----/g) ?? []).map((pem) => new X509Certificate(pem));
}

async function inTemporaryFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "peapod-pki-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
