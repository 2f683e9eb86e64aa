import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { rootCertificates } from "node:tls";
import { promisify } from "node:util";
import { Scope } from "@peapod/kit";
import fc from "fast-check";
import { makeAuthority } from "./certificates.fixture.ts";
import { judgeCertificates, judgeKey } from "./pem.ts";

const pem = join(import.meta.dirname, "pem.ts");
const script = `import { systemAuthorities } from ${JSON.stringify(pem)}; process.stdout.write(JSON.stringify(systemAuthorities()));`;

/** What a program of its own would trust, with the system's authorities in these places. */
async function authoritiesIn(places: Readonly<Record<string, string>>): Promise<string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    env: { PATH: process.env["PATH"], ...places },
    maxBuffer: 16 * 1024 * 1024,
  });
  return JSON.parse(stdout) as string[]; // what the script writes
}

test("systemAuthorities() are the system's, where it has any, and NODE_EXTRA_CA_CERTS' too; else Node's own", async () => {
  await using scope = new Scope();
  const folder = mkdtempSync(join(tmpdir(), "ambassador-pem-"));
  scope.defer(() => rmSync(folder, { recursive: true }));
  const [system, extra] = await Promise.all([makeAuthority(scope), makeAuthority(scope)]);
  const [ours, none] = await Promise.all([
    authoritiesIn({ SSL_CERT_FILE: system.caFile, SSL_CERT_DIR: folder, NODE_EXTRA_CA_CERTS: extra.caFile }),
    authoritiesIn({ SSL_CERT_FILE: join(folder, "none"), SSL_CERT_DIR: folder }),
  ]);
  const read = (path: string): string => readFileSync(path, "utf8").trim();
  assert.deepEqual(
    ours.map((one) => one.trim()),
    [read(system.caFile), read(extra.caFile)],
  );
  assert.deepEqual(new Set(none.map((one) => one.trim())), new Set(rootCertificates));
});

test("judgeCertificates() takes bundles with comments, Windows' line ends and keys among them", async () => {
  await using scope = new Scope();
  const authority = await makeAuthority(scope);
  const pair = await authority.issue();
  const [ca, cert, key] = [authority.caFile, pair.certFile, pair.keyFile].map((path) => readFileSync(path, "utf8"));
  for (const text of [`${ca}${cert}`, `# ours: ümläut\n\n${ca}`, `${ca}`.replaceAll("\n", "\r\n"), `${ca}`.trimEnd(), `${key}${cert}`])
    assert.equal(judgeCertificates(Buffer.from(text)), undefined, text);
  assert.equal(judgeKey(Buffer.from(`${cert}${key}`)), undefined);
  assert.equal(judgeCertificates(Buffer.from(`${key}`)), "has no certificate in PEM");
});

test("judgeCertificates() and judgeKey() have a verdict on any bytes", () => {
  const parts = fc.oneof(
    fc.constantFrom(
      "-----BEGIN CERTIFICATE-----\n",
      "-----END CERTIFICATE-----\n",
      "-----BEGIN PRIVATE KEY-----\n",
      "-----END PRIVATE KEY-----\n",
      "AAAA\n",
      "-",
    ),
    fc.string({ maxLength: 5 }),
  );
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 12 }), (some) => {
      for (const judge of [judgeCertificates, judgeKey]) assert.match(judge(Buffer.from(some.join(""))) ?? "is fine", /^(is|has) /);
    }),
  );
});
