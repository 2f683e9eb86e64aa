import { credentialsFrom } from "../../credentials/credentials.ts";
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { eventually, Scope, silentLogger } from "@peapod/kit";
import { credentialsTest } from "../../../frame/credentials/credentials.fixture.ts";
import { fileCredentials, listenerTo, targetOf } from "../tls/serving.fixture.ts";
import { makeAuthority } from "../../../frame/credentials/certificates.fixture.ts";
import { httpListener, serveHttp } from "./http.fixture.ts";
import { httpProtocol } from "./http.ts";

const exec = promisify(execFile);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** The real nginx, with a configuration and folder of its own. */
async function startNginx(scope: Scope, port: number, serverBlock: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "ambassador-nginx-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, "html"));
  await writeFile(join(folder, "html", "big"), Buffer.alloc(20_000_000, "0123456789"));
  await writeFile(join(folder, "html", "small"), "small");
  await writeFile(join(folder, "users"), "app:{PLAIN}geheim\n");
  const temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`).join(" ");
  const user = process.getuid?.() === 0 ? "user root;" : "";
  await writeFile(
    join(folder, "nginx.conf"),
    `${user} daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log; events {}
     http { access_log off; ${temps} server { listen 127.0.0.1:${port} ${serverBlock} root ${folder}/html; } }`,
  );
  const nginx = spawn("nginx", ["-p", folder, "-c", join(folder, "nginx.conf")], { stdio: "ignore" });
  const ended = once(nginx, "exit");
  scope.defer(async () => {
    nginx.kill("SIGKILL");
    await ended;
  });
  await eventually(
    async () => {
      const probe = connect(port, "127.0.0.1");
      await once(probe, "connect");
      probe.destroy();
    },
    { withinMs: 5_000 },
  );
  return folder;
}

test("httpProtocol logs in to the real nginx with Basic, for curl: big files, ranges, many requests", async () => {
  await using scope = new Scope();
  const port = await freePort();
  const folder = await startNginx(scope, port, "; auth_basic x; auth_basic_user_file users;");
  const auth = { kind: "basic", username: { kind: "value", value: "app" }, password: { kind: "value", value: "geheim" } } as const;
  const serving = await serveHttp(scope, httpListener(port, { auth }));
  const url = (path: string): string => `http://127.0.0.1:${serving.port}${path}`;
  const out = join(folder, "out");
  const { stdout } = await exec("curl", ["-sS", "-u", "x:wrong", "-o", out, "-w", "%{http_code} %{size_download}", url("/big")]);
  assert.equal(stdout, "200 20000000");
  await exec("cmp", [out, join(folder, "html", "big")]);
  const part = await exec("curl", ["-sS", "-r", "3-5", "-w", " %{http_code}", url("/big")]);
  assert.equal(part.stdout, "345 206");
  const missing = await exec("curl", ["-sS", "-o", "/dev/null", "-w", "%{http_code}", url("/nothing")]);
  assert.equal(missing.stdout, "404");
  const bench = await exec("ab", ["-q", "-k", "-n", "4000", "-c", "20", url("/small")]);
  assert.match(bench.stdout, /Complete requests: +4000\n[^]*Failed requests: +0\n/);
  assert.doesNotMatch(bench.stdout, /Non-2xx/);
  await eventually(() => serving.open() === 0 && serving.leases() === 0, { withinMs: 2_000 });
});

test("httpProtocol reaches the real nginx on a UNIX socket", async () => {
  await using files = credentialsTest();
  const { scope } = files;
  const path = join(files.folder, "nginx.sock");
  const port = await freePort();
  await startNginx(scope, port, `; listen unix:${path}; add_header X-Address $server_addr;`);
  const serving = await serveHttp(scope, httpListener(port, { upstream: { endpoints: [{ kind: "unix", path }] } }));
  const { stdout } = await exec("curl", ["-sS", "-i", `http://127.0.0.1:${serving.port}/small`]);
  assert.match(stdout, /^HTTP\/1.1 200 [^]*X-Address: unix:[^]*\r\n\r\nsmall$/);
});

test("httpProtocol speaks TLS with the real nginx, shows a certificate, and trusts none but the right one", async () => {
  await using files = credentialsTest();
  const { scope } = files;
  const credentials = credentialsFrom(files.credentials);
  const authority = await makeAuthority(scope);
  const server = await authority.issue({ name: "server" });
  const client = await authority.issue({ name: "client" });
  const other = await makeAuthority(scope);
  const port = await freePort();
  const tlsBlock = `ssl; ssl_certificate ${server.certFile}; ssl_certificate_key ${server.keyFile}; ssl_client_certificate ${authority.caFile}; ssl_verify_client on;`;
  await startNginx(scope, port, tlsBlock);
  const unset = {
    caFile: authority.caFile,
    certFile: undefined,
    keyFile: undefined,
    serverName: undefined,
    minVersion: "TLSv1.2",
    direct: false,
  } as const;
  const status = async (tls: object): Promise<string> => {
    const listener = httpListener(port, { upstream: { tls: { mode: "verify-full", ...unset, ...tls } } });
    const serving = await serveHttp(scope, listener, { credentials });
    return (await exec("curl", ["-sS", "-w", " %{http_code}", `http://127.0.0.1:${serving.port}/small`])).stdout;
  };
  assert.equal(await status(client), "small 200");
  assert.match(await status({}), / 400$/);
  assert.match(await status({ ...client, caFile: other.caFile }), /"UPSTREAM_UNTRUSTED"[^]* 502$/);
  assert.match(await status({ ...client, serverName: "elsewhere.example" }), /"UPSTREAM_UNTRUSTED"[^]* 502$/);
  assert.equal(await status({ ...client, mode: "require", caFile: other.caFile }), "small 200");
});

test("httpProtocol asks applications for certificates, and serves none that another authority issued", async () => {
  await using scope = new Scope();
  const authority = await makeAuthority(scope);
  const { certFile, keyFile } = await authority.issue({ name: "server" });
  const client = await authority.issue({ name: "client" });
  const stranger = await (await makeAuthority(scope)).issue({ name: "stranger" });
  const port = await freePort();
  await startNginx(scope, port, ";");
  const serving = await serveHttp(scope, httpListener(port, { serverTls: { certFile, keyFile, clientCaFile: authority.caFile } }));
  const curl = async (shown: { certFile: string; keyFile: string }): Promise<string> =>
    (
      await exec("curl", [
        "-sS",
        "--cacert",
        authority.caFile,
        "--cert",
        shown.certFile,
        "--key",
        shown.keyFile,
        `https://localhost:${serving.port}/small`,
      ])
    ).stdout;
  assert.equal(await curl(client), "small");
  await assert.rejects(curl(stranger));
  await eventually(() => serving.failures.length === 1 && serving.open() === 0, { withinMs: 2_000 });
});

test("httpProtocol's check is well where the path answers 2xx or 3xx", async () => {
  await using scope = new Scope();
  const port = await freePort();
  await startNginx(scope, port, ";");
  const checkOf = async (path: string): Promise<unknown> => {
    const healthCheck = {
      everyMs: 1,
      timeoutMs: 1,
      unhealthyAfter: 1,
      healthyAfter: 1,
      closeConnections: false,
      kind: "http",
      path,
    } as const;
    const listener = httpListener(port, { upstream: { healthCheck } });
    const { check } = httpProtocol(listener, {
      credentials: fileCredentials,
      log: silentLogger,
    });
    return await check?.(targetOf(listenerTo(port)), AbortSignal.timeout(2_000));
  };
  assert.equal(await checkOf("/small"), undefined);
  await assert.rejects(checkOf("/nothing"), { code: "UPSTREAM_BUSY", message: /answers 404/ });
});
