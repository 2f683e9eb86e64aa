import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { eventually, Scope } from "@peapod/kit";
import { startMariadb } from "../companions/ambassador/protocols/mysql/mariadb-server.fixture.ts";
import { freePort, startPostgres } from "../companions/ambassador/protocols/postgres/postgres-server.fixture.ts";
import { startRedisServer } from "../companions/ambassador/protocols/redis/redis-server.fixture.ts";
import { makeAuthority } from "../companions/frame/credentials/certificates.fixture.ts";
import { collect, listenOn, startTrickle } from "./ambassador-peers.fixture.ts";
import { type AmbassadorProgram, client, folderFor, startAmbassador } from "./ambassador-program.fixture.ts";

const exec = promisify(execFile);
const WITHIN = { withinMs: 10_000 };
const TEST = { timeout: 30_000 };

/** Runs the rest with a network and mounts of its own, which end with it: first the script, in which `$1` is the folder. */
const apart = (script: string, folder: string): string[] => [
  "unshare",
  "--net",
  "--mount",
  "sh",
  "-ec",
  `ip link set lo up; ${script}; shift; exec "$@"`,
  "sh",
  folder,
];

const psql = (where: readonly string[]) => client("psql", ["-XAtq", "-U", "legacy", ...where, "-c", "SELECT current_user", "postgres"]);
const psqlPort = (program: AmbassadorProgram) => psql(["-h", "127.0.0.1", "-p", `${program.port("postgres")}`]);
const mariadb = (port: number) =>
  client("mariadb", ["--no-defaults", "--skip-ssl", "-N", "-h127.0.0.1", `-P${port}`, "-ulegacy", "-e", "SELECT CURRENT_USER()"]);
const redisCli = (port: number) => client("redis-cli", ["-p", `${port}`, "ACL", "WHOAMI"]);

test("an upstream that refuses is told in each protocol's words, and used without a restart once it is there", TEST, async () => {
  await using scope = new Scope();
  const port = await freePort();
  const folder = folderFor(scope);
  writeFileSync(join(folder, "password"), "secret\n");
  const upstream = { endpoints: [`127.0.0.1:${port}`], retry: { attempts: 2, backoff: "10ms" } };
  const login = { username: "app", passwordFile: join(folder, "password") };
  const common = { listen: "127.0.0.1:0", upstream };
  const program = await startAmbassador(scope, {
    listeners: [
      { protocol: "tcp", ...common },
      { protocol: "tls", ...common, upstream: { ...upstream, tls: { mode: "require" } } },
      { protocol: "http", ...common },
      { protocol: "postgres", ...common, login },
      { protocol: "mysql", ...common, login },
      { protocol: "redis", ...common, login },
    ],
  });
  const http = () => client("curl", ["-sS", "-i", `http://127.0.0.1:${program.port("http")}/`]);
  const reset = { text: "", error: "ECONNRESET" };
  assert.deepEqual(await collect(connect(program.port("tcp"), "127.0.0.1")), reset);
  assert.deepEqual(await collect(connect(program.port("tls"), "127.0.0.1")), reset);
  const reason = `Cannot connect to 127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`;
  assert.match((await http()).stdout, new RegExp(`^HTTP/1.1 502 [^]*"code":"UPSTREAM_UNREACHABLE","detail":"${reason}"`));
  assert.match((await psqlPort(program)).stderr, new RegExp(`FATAL: {2}${reason}\n$`));
  assert.match((await mariadb(program.port("mysql"))).stderr, new RegExp(`^ERROR 1158 .*: ${reason}\n$`));
  assert.equal((await redisCli(program.port("redis"))).stdout.trim(), "ERR ambassador: the upstream cannot be reached");
  await eventually(async () => assert.equal(await program.metric("ambassador_failures_total", "UPSTREAM_UNREACHABLE"), 6), WITHIN);
  const said = program.lines().filter(({ message }) => message === "connection failed");
  assert.deepEqual(
    said.map(({ code, error }) => [code, error]),
    Array.from({ length: 5 }, () => ["UPSTREAM_UNREACHABLE", reason]), // a request of HTTP has a line of another kind
  );

  const server = createServer((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwell"));
  scope.defer(() => void server.close());
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  assert.match((await http()).stdout, /^HTTP\/1\.1 200 [^]*well$/);
  assert.match((await psqlPort(program)).stderr, /FATAL: {2}127\.0\.0\.1:\d+: The upstream sent a message "H" of 1414811695 bytes/);
  assert.match((await mariadb(program.port("mysql"))).stderr, /^ERROR 1158 .*: Cannot read the upstream's handshake/);
  assert.equal((await redisCli(program.port("redis"))).stdout.trim(), "ERR ambassador: the upstream does not speak Redis' protocol");
  assert.match((await collect(connect(program.port("tcp"), "127.0.0.1"))).text, /well$/);
});

test("a black hole is left after the connect timeout, for the next endpoint, and found again when it answers", TEST, async () => {
  await using scope = new Scope();
  const folder = folderFor(scope);
  const answer = (name: string) =>
    listenOn(
      createServer((socket) => socket.end(name)),
      scope,
      join(folder, name),
    );
  await answer("first");
  await answer("second");
  // The endpoints are ports of the program's own network, which lead out of it by sockets.
  const inner = ["first", "second"].map((name, index) => ({
    name,
    protocol: "tcp",
    listen: `127.0.0.1:${7001 + index}`,
    upstream: { endpoints: [`unix:${join(folder, name)}`] },
  }));
  const upstream = { endpoints: ["127.0.0.1:7001"], connectTimeout: "300ms", retry: { attempts: 1 } };
  const both = { ...upstream, endpoints: ["127.0.0.1:7001", "127.0.0.1:7002"], retry: { attempts: 2 } };
  const listen = (name: string) => ({ name, listen: `unix:${join(folder, `${name}.sock`)}` });
  const drop =
    "nft add table inet t; nft add chain inet t c '{ type filter hook input priority 0; }'; nft add rule inet t c tcp dport 7001 drop";
  const program = await startAmbassador(
    scope,
    {
      listeners: [
        ...inner,
        { ...listen("alone"), protocol: "tcp", upstream },
        { ...listen("both"), protocol: "tcp", upstream: { ...both, healthCheck: { interval: "200ms", timeout: "200ms" } } },
        {
          ...listen(".s.PGSQL.5432"),
          name: "postgres",
          listen: `unix:${join(folder, ".s.PGSQL.5432")}`,
          protocol: "postgres",
          login: { username: "app" },
          upstream,
        },
      ],
    },
    { within: apart(drop, folder), folder },
  );
  const ask = (name: string) => collect(connect({ path: join(folder, `${name}.sock`) }));
  assert.equal((await ask("alone")).text, "");
  assert.match((await psql(["-h", folder])).stderr, /FATAL: {2}Connecting to 127\.0\.0\.1:7001 took longer than 300 ms/);
  assert.equal(await program.metric("ambassador_failures_total", "UPSTREAM_TIMEOUT"), 2);
  assert.equal((await ask("both")).text, "second");
  await eventually(
    async () => assert.equal(await program.metric("ambassador_endpoint_up", 'listener="both",endpoint="127.0.0.1:7001"'), 0),
    WITHIN,
  );
  assert.deepEqual(await Promise.all([ask("both"), ask("both")]), [
    { text: "second", error: undefined },
    { text: "second", error: undefined },
  ]);
  await exec("nsenter", ["--target", `${program.pid}`, "--net", "nft", "delete", "table", "inet", "t"]);
  await eventually(async () => assert.equal((await ask("both")).text, "first"), WITHIN);
  assert.equal((await ask("alone")).text, "first");
});

test("a connection that is reset in the middle is reset on the other side too, never ended as if it were whole", TEST, async () => {
  await using scope = new Scope();
  const ends: unknown[] = [];
  const port = await listenOn(
    createServer((socket) => {
      socket.once("error", (error: NodeJS.ErrnoException) => ends.push(error.code));
      socket.once("data", (chunk) => {
        const isHttp = chunk.includes("HTTP/1.1");
        socket.write(isHttp ? `HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${"x".repeat(500)}` : "x".repeat(500));
        if (!chunk.includes("wait")) setImmediate(() => socket.resetAndDestroy());
      });
    }),
    scope,
  );
  const common = { listen: "127.0.0.1:0", upstream: { endpoints: [`127.0.0.1:${port}`] } };
  const program = await startAmbassador(scope, { listeners: ["tcp", "http"].map((protocol) => ({ protocol, ...common })) });
  const socket = connect(program.port("tcp"), "127.0.0.1");
  socket.write("go\n");
  const { error } = await collect(socket);
  assert.equal(error, "ECONNRESET");
  const curl = await client("curl", ["-sS", `http://127.0.0.1:${program.port("http")}/`]);
  assert.equal(curl.exitCode === 18 || curl.exitCode === 56, true, curl.stderr); // partial file, or reset: an error either way
  const leaving = connect(program.port("tcp"), "127.0.0.1");
  leaving.write("wait\n");
  await once(leaving, "data");
  leaving.resetAndDestroy();
  await eventually(() => assert.deepEqual(ends, ["ECONNRESET"]), WITHIN);
  await eventually(
    () =>
      assert.deepEqual(
        program.lines().flatMap(({ message, endedBy, reset }) => (message === "connection ended" ? [[endedBy, reset]] : [])),
        [
          ["upstream", "ECONNRESET"],
          ["client", "ECONNRESET"],
        ],
      ),
    WITHIN,
  );
});

test("either side may end its half and go on hearing the other, through tcp and through TLS on both sides", TEST, async () => {
  await using scope = new Scope();
  const authority = await makeAuthority(scope);
  const files = await authority.issue();
  const heard: string[] = [];
  /** Ends first if it is told so, and goes on reading; or answers after the client's end. */
  const serve = (socket: Socket): void => {
    let text = "";
    socket.on("data", (chunk) => {
      text += String(chunk);
      if (text === "you first\n") socket.end("after you\n");
    });
    socket.once("end", () => {
      heard.push(text);
      if (socket.writable) socket.end(text.toUpperCase());
    });
  };
  const port = await listenOn(createServer({ allowHalfOpen: true }, serve), scope);
  const program = await startAmbassador(scope, {
    listeners: [
      { name: "inner", protocol: "tcp", listen: "127.0.0.1:0", serverTls: files, upstream: { endpoints: [`127.0.0.1:${port}`] } },
    ],
  });
  const outer = await startAmbassador(scope, {
    listeners: [
      { protocol: "tcp", listen: "127.0.0.1:0", upstream: { endpoints: [`127.0.0.1:${port}`] } },
      {
        protocol: "tls",
        listen: "127.0.0.1:0",
        upstream: { endpoints: [`localhost:${program.port("inner")}`], tls: { caFile: authority.caFile } },
      },
    ],
  });
  for (const name of ["tcp", "tls"]) {
    const asking = connect({ port: outer.port(name), host: "127.0.0.1", allowHalfOpen: true });
    asking.end("all of it");
    assert.deepEqual(await collect(asking), { text: "ALL OF IT", error: undefined }, name);
    const listening = connect({ port: outer.port(name), host: "127.0.0.1", allowHalfOpen: true });
    listening.write("you first\n");
    let text = "";
    listening.on("data", (chunk) => (text += String(chunk)));
    await once(listening, "end");
    assert.equal(text, "after you\n", name);
    listening.end("now me\n");
    await eventually(() => assert.ok(heard.includes("you first\nnow me\n"), heard.join("|")), WITHIN);
    heard.length = 0;
  }
});

test("logins and queries work over a network that passes a byte at a time", TEST, async () => {
  await using scope = new Scope();
  const folder = folderFor(scope);
  writeFileSync(join(folder, "password"), "secret\n");
  const [postgres, mysql, redis] = await Promise.all([
    startPostgres(scope, { version: 15, auth: "scram-sha-256", users: { app: "secret" } }),
    startMariadb(scope),
    startRedisServer({ scope, args: "--user app on >secret ~* &* +@all".split(" ") }),
  ]);
  await mysql.sql("CREATE USER app IDENTIFIED BY 'secret'");
  const login = { username: "app", passwordFile: join(folder, "password") };
  const listener = async (protocol: string, { port }: { readonly port: number }) => ({
    protocol,
    login,
    listen: "127.0.0.1:0",
    upstream: { endpoints: [`127.0.0.1:${await startTrickle(scope, port)}`] },
  });
  const program = await startAmbassador(scope, {
    listeners: await Promise.all([listener("postgres", postgres), listener("mysql", mysql), listener("redis", redis)]),
  });
  const slow = async (name: string): Promise<number> => await startTrickle(scope, program.port(name));
  const result = await psql(["-h", "127.0.0.1", "-p", `${await slow("postgres")}`]);
  assert.deepEqual([result.stdout, result.stderr], ["app\n", ""]);
  assert.equal((await mariadb(await slow("mysql"))).stdout, "app@%\n");
  assert.equal((await redisCli(await slow("redis"))).stdout, "app\n");
});

test("a name that cannot be resolved fails with its name, and heals by itself", TEST, async () => {
  await using scope = new Scope();
  const folder = folderFor(scope);
  await listenOn(
    createServer((socket) => socket.end("found")),
    scope,
    join(folder, "there"),
  );
  writeFileSync(join(folder, "hosts"), "127.0.0.1 localhost\n");
  writeFileSync(join(folder, "resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"); // nobody answers there
  const mounts = 'mount --bind "$1/hosts" /etc/hosts; mount --bind "$1/resolv.conf" /etc/resolv.conf';
  const upstream = { endpoints: ["db.test.invalid:7001"], retry: { attempts: 1 }, resolveInterval: "1s" };
  const program = await startAmbassador(
    scope,
    {
      listeners: [
        { name: "there", protocol: "tcp", listen: "127.0.0.5:7001", upstream: { endpoints: [`unix:${join(folder, "there")}`] } },
        { name: "db", protocol: "tcp", listen: `unix:${join(folder, "db.sock")}`, upstream },
        { name: "pg", protocol: "postgres", listen: `unix:${join(folder, ".s.PGSQL.5432")}`, login: { username: "app" }, upstream },
      ],
    },
    { within: apart(mounts, folder), folder },
  );
  const ask = async (): Promise<string> => (await collect(connect({ path: join(folder, "db.sock") }))).text;
  assert.equal(await ask(), "");
  assert.match((await psql(["-h", folder])).stderr, /FATAL: {2}Cannot connect to db\.test\.invalid:7001: .*(EAI_AGAIN|ENOTFOUND)/);
  const problem = program.lines().find(({ message }) => message === "name cannot be resolved");
  assert.equal(problem?.["endpoint"], "db.test.invalid:7001");
  writeFileSync(join(folder, "hosts"), "127.0.0.1 localhost\n127.0.0.5 db.test.invalid\n"); // the same file, which is what is mounted
  await eventually(async () => assert.equal(await ask(), "found"), WITHIN);
  await eventually(() => program.lines().some(({ message }) => message === "name is resolved again"), WITHIN);
  writeFileSync(join(folder, "hosts"), "127.0.0.1 localhost\n");
  await eventually(() => program.lines().filter(({ message }) => message === "name cannot be resolved").length > 2, WITHIN);
  assert.equal(await ask(), "found", "the last good address stays");
});

test("a Secret that is missing, comes, is emptied, is half-written and is mended needs no restart", TEST, async () => {
  await using scope = new Scope();
  const folder = folderFor(scope);
  const passwordFile = join(folder, "password");
  const postgres = await startPostgres(scope, { version: 15, auth: "scram-sha-256", users: { app: "first secret" } });
  const program = await startAmbassador(scope, {
    listeners: [
      {
        protocol: "postgres",
        listen: "127.0.0.1:0",
        login: { username: "app", passwordFile },
        upstream: { endpoints: [`127.0.0.1:${postgres.port}`] },
      },
    ],
  });
  const problems = () => program.metric("ambassador_credential_problems");
  const missing = await psqlPort(program);
  assert.match(missing.stderr, new RegExp(`FATAL: {2}Cannot use the credential ${passwordFile}: it is missing\n$`));
  assert.equal(await problems(), 1);
  assert.equal(await program.metric("ambassador_failures_total", "CREDENTIAL_MISSING"), 1);

  writeFileSync(passwordFile, "");
  assert.match((await psqlPort(program)).stderr, /it is empty\n$/);
  writeFileSync(passwordFile, "first secret\n");
  assert.equal((await psqlPort(program)).stdout, "app\n");
  assert.equal(await problems(), 0);

  for (const bad of ["", "first\0\0\0", "first \xc3"]) {
    writeFileSync(passwordFile, bad, "latin1"); // emptied, and what half-written files look like
    assert.equal((await psqlPort(program)).stdout, "app\n", "the last good one stays in use");
    assert.equal(await problems(), 1);
  }
  rmSync(passwordFile);
  assert.equal((await psqlPort(program)).stdout, "app\n");
  writeFileSync(passwordFile, "first sec"); // half of it looks like any other password
  const half = await psqlPort(program);
  assert.match(
    half.stderr,
    new RegExp(`FATAL: {2}The upstream 127\\.0\\.0\\.1:${postgres.port} refused the ambassador's credentials \\(SQLSTATE 28P01\\)`),
  );
  assert.equal(await problems(), 0);
  writeFileSync(passwordFile, "first secret\n");
  assert.equal((await psqlPort(program)).stdout, "app\n");
  assert.doesNotMatch(program.output() + missing.stderr + half.stderr, /first sec/);
  const told = program.lines().filter(({ message }) => message?.startsWith("credential") === true);
  const unusable = "credential cannot be used; the last good one stays, if there was one";
  assert.deepEqual(
    told.map(({ level, message, reason }) => [level, message, reason]),
    [
      ["warn", unusable, "is missing"],
      ["info", "credential can be used again", undefined],
      ["warn", unusable, "is empty"],
      ["info", "credential changed", undefined],
      ["info", "credential changed", undefined],
    ],
  );
});
