import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { chmod, chown, copyFile, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { eventually, Scope } from "@peapod/kit";
import { makeAuthority } from "../../../frame/credentials/certificates.fixture.ts";
import { psql, startAmbassador } from "./ambassador.fixture.ts";
import { tlsServerEndPoint } from "./channel-binding.ts";
import { type PostgresServer, startPostgres } from "./postgres-server.fixture.ts";

const exec = promisify(execFile);
const scope = new Scope();
after(async () => await scope[Symbol.asyncDispose]());

let server: PostgresServer;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "ambassador-certificates-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const tls = await (await makeAuthority(scope)).issue();
  server = await startPostgres(scope, { version: 15, auth: "scram-sha-256", users: { app: "secret" }, databases: ["legacydb"], tls });
});

const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
const rsa = ["-newkey", "rsa:2048"];
const pss = ["-sigopt", "rsa_padding_mode:pss"];
const signatures: { name: string; args: string[]; hash: string | undefined }[] = [
  { name: "ECDSA with SHA-256", args: [...ec, "-sha256"], hash: "sha256" },
  { name: "ECDSA with SHA-384", args: [...ec, "-sha384"], hash: "sha384" },
  { name: "ECDSA with SHA-512", args: [...ec, "-sha512"], hash: "sha512" },
  { name: "RSA with SHA-256", args: [...rsa, "-sha256"], hash: "sha256" },
  { name: "RSA with SHA-512", args: [...rsa, "-sha512"], hash: "sha512" },
  { name: "RSA-PSS with SHA-256", args: [...rsa, "-sha256", ...pss], hash: "sha256" },
  { name: "RSA-PSS with SHA-384", args: [...rsa, "-sha384", ...pss], hash: "sha384" },
  { name: "Ed25519", args: ["-newkey", "ed25519"], hash: undefined },
];

for (const [index, { name, args, hash }] of signatures.entries())
  test(`tlsServerEndPoint() is what PostgreSQL takes for a certificate signed by ${name}`, async () => {
    await using own = new Scope();
    const [certFile, keyFile] = [join(folder, `${index}.crt`), join(folder, `${index}.key`)];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"];
    await exec("openssl", ["req", "-x509", "-nodes", ...args, ...subject, "-keyout", keyFile, "-out", certFile]);
    const binding = tlsServerEndPoint(new X509Certificate(await readFile(certFile)));
    if (hash !== undefined) {
      const der = ["x509", "-in", certFile, "-outform", "der", "-out", `${certFile}.der`];
      await exec("openssl", der);
      const { stdout } = await exec("openssl", ["dgst", `-${hash}`, "-r", `${certFile}.der`]);
      assert.equal(binding?.toString("hex"), stdout.split(" ")[0]);
    }
    await install(certFile, keyFile);
    const tls = { mode: "verify-full", caFile: certFile };
    const channelBinding = hash === undefined ? "prefer" : "require";
    const ambassador = await startAmbassador(own, { endpoints: [`127.0.0.1:${server.port}`], tls }, { channelBinding });
    // The server takes the new certificate a moment after it was told.
    const isOn = async (): Promise<string> => await psql(ambassador.port, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    assert.equal(await eventually(isOn, { withinMs: 5_000 }), "t");
    assert.equal(binding === undefined, hash === undefined);
  });

async function install(certFile: string, keyFile: string): Promise<void> {
  const { uid, gid } = await stat(join(server.folder, "tls.key"));
  for (const [from, to] of [
    [certFile, "tls.crt"],
    [keyFile, "tls.key"],
  ] as const) {
    const path = join(server.folder, to);
    await copyFile(from, path);
    await chown(path, uid, gid);
    await chmod(path, 0o600);
  }
  await server.sql("SELECT pg_reload_conf()");
}
