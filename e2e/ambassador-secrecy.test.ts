import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, Scope } from "@peapod/kit";
import { startMariadb } from "../companions/ambassador/protocols/mysql/mariadb-server.fixture.ts";
import { startPostgres } from "../companions/ambassador/protocols/postgres/postgres-server.fixture.ts";
import { startRedisServer } from "../companions/ambassador/protocols/redis/redis-server.fixture.ts";
import { listenOn } from "./ambassador-peers.fixture.ts";
import { type AmbassadorProgram, client, type Finished, folderFor, startAmbassador } from "./ambassador-program.fixture.ts";

/** Every secret of the test, the right one and the wrong, with nothing that would be found by chance. */
const secrets = { right: "Zq7right-c0rrect-horse", wrong: "Zq8wrong-battery-staple", client: "Zq9client-old-password" };
const user = "Zq6shop-user";

/** The forms that a secret may leak in: as it is, encoded, hashed as databases do. */
function formsOf(secret: string): Record<string, string> {
  const hash = (algorithm: string, text: string | Buffer): Buffer => createHash(algorithm).update(text).digest();
  const basic = Buffer.from(`${user}:${secret}`);
  const native = hash("sha1", hash("sha1", secret));
  return {
    plain: secret,
    base64: Buffer.from(secret).toString("base64").replace(/=+$/, ""),
    basic: basic.toString("base64").replace(/=+$/, ""),
    hex: Buffer.from(secret).toString("hex"),
    url: encodeURIComponent(`${secret} `).slice(0, -3),
    md5: hash("md5", secret).toString("hex"),
    "md5 of PostgreSQL": hash("md5", `${secret}${user}`).toString("hex"),
    sha1: hash("sha1", secret).toString("hex"),
    "sha1 of MySQL": native.toString("hex"),
    sha256: hash("sha256", secret).toString("hex"),
    "sha256 in base64": hash("sha256", secret).toString("base64"),
  };
}

/** What is found of any secret in any text, by name. */
function leaks(texts: Readonly<Record<string, string>>): string[] {
  return Object.entries(texts).flatMap(([where, text]) =>
    Object.entries(secrets).flatMap(([which, secret]) =>
      Object.entries(formsOf(secret)).flatMap(([form, value]) =>
        text.toLowerCase().includes(value.toLowerCase()) ? [`${which} (${form}) in ${where}`] : [],
      ),
    ),
  );
}

/** What every client of the test says, each with a password of its own that is nobody's business either. */
async function askAll(program: AmbassadorProgram): Promise<Record<string, Finished>> {
  const [postgres, mysql, redis, http] = ["postgres", "mysql", "redis", "http"].map((name) => program.port(name));
  const uri = `postgres://legacy:${secrets.client}@127.0.0.1:${postgres}/postgres`;
  const [ofPostgres, ofMysql, ofRedis, ofHttp] = await Promise.all([
    client("psql", ["-XAtq", "-c", "SELECT 'in'", uri]),
    client("mariadb", [
      "--no-defaults",
      "--skip-ssl",
      "-N",
      "-h127.0.0.1",
      `-P${mysql}`,
      "-ulegacy",
      `-p${secrets.client}`,
      "-e",
      "SELECT 'in'",
    ]),
    client("redis-cli", ["-p", `${redis}`, "ECHO", "in"]),
    client("curl", ["-sS", "-u", `legacy:${secrets.client}`, `http://127.0.0.1:${http}/path?token=${secrets.client}`]),
  ]);
  const ofRedisAuth = await client("redis-cli", ["-p", `${redis}`], {
    input: `AUTH legacy ${secrets.client}\nHELLO 3 AUTH legacy ${secrets.client}\nECHO in\n`,
  });
  return { postgres: ofPostgres, mysql: ofMysql, redis: ofRedis, "redis with a password": ofRedisAuth, http: ofHttp };
}

/** Everything that an ambassador shows to anybody. */
async function shownBy(program: AmbassadorProgram): Promise<Record<string, string>> {
  const pages = ["/", "/metrics", "/status", "/endpoints", "/connections", "/readyz", "/readyz?upstream=reachable"];
  const texts = await Promise.all(pages.map(async (page) => [page, await program.admin(page)] as const));
  const proc = ["cmdline", "environ"].map((name) => [name, readFileSync(`/proc/${program.pid}/${name}`, "latin1")] as const);
  return { ...Object.fromEntries([...texts, ...proc]), log: program.output() };
}

test(
  "no credential is in a log, a metric, an error, a page or the process's arguments, whether it is right or wrong",
  { timeout: 30_000 },
  async () => {
    await using scope = new Scope();
    const folder = folderFor(scope);
    const passwordFile = join(folder, "password");
    const [postgres, mysql, redis] = await Promise.all([
      startPostgres(scope, { version: 15, auth: "scram-sha-256", users: { [user]: secrets.right } }),
      startMariadb(scope),
      startRedisServer({ scope, args: `--user ${user} on >${secrets.right} ~* &* +@all`.split(" ") }),
    ]);
    await mysql.sql(`CREATE USER '${user}' IDENTIFIED BY '${secrets.right}'`);
    const expected = `Basic ${Buffer.from(`${user}:${secrets.right}`).toString("base64")}`;
    const web = createHttpServer(({ headers }, response) => {
      const isIn = headers.authorization === expected && headers["x-key"] === secrets.right;
      response.writeHead(isIn ? 200 : 401).end(isIn ? "in" : "out");
    });
    const webPort = await listenOn(web, scope);
    const upstream = (port: number) => ({
      endpoints: [`127.0.0.1:${port}`],
      retry: { attempts: 2, backoff: "10ms" },
      healthCheck: { interval: "500ms", timeout: "500ms" },
    });
    const login = { username: user, passwordFile };
    const listen = "127.0.0.1:0";
    writeFileSync(passwordFile, secrets.wrong);
    const program = await startAmbassador(scope, {
      logLevel: "debug",
      listeners: [
        { protocol: "postgres", listen, login, upstream: upstream(postgres.port) },
        { protocol: "mysql", listen, login, upstream: upstream(mysql.port) },
        { protocol: "redis", listen, login, upstream: upstream(redis.port) },
        {
          protocol: "http",
          listen,
          auth: { kind: "basic", ...login },
          headers: [{ name: "X-Key", valueFile: passwordFile }],
          upstream: { ...upstream(webPort), healthCheck: { interval: "500ms", timeout: "500ms", kind: "http", path: "/" } },
        },
      ],
    });
    const refused = await askAll(program);
    for (const [name, { stdout }] of Object.entries(refused)) assert.doesNotMatch(stdout, /^in$/m, name);
    await eventually(() => program.lines().length > 8, { withinMs: 5_000 });
    const texts = (all: Record<string, Finished>) =>
      Object.fromEntries(Object.entries(all).map(([name, { stdout, stderr }]) => [`answer of ${name}`, stdout + stderr]));
    assert.deepEqual(leaks({ ...(await shownBy(program)), ...texts(refused) }), []);

    writeFileSync(passwordFile, secrets.right);
    let allowed: Record<string, Finished> = {};
    await eventually(
      async () => {
        allowed = await askAll(program);
        for (const [name, { stdout, stderr }] of Object.entries(allowed)) assert.match(stdout, /^in$/m, `${name}: ${stderr}`);
      },
      { withinMs: 10_000 },
    );
    writeFileSync(passwordFile, `${secrets.right}\0`);
    await askAll(program);
    assert.deepEqual(leaks({ ...(await shownBy(program)), ...texts(allowed) }), []);
    assert.ok(leaks({ page: Object.values(formsOf(secrets.right)).join(" ") }).length > 8, "the search finds what there is");
  },
);
