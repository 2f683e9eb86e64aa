import assert from "node:assert/strict";
import { createHash, type Hash } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { Agent, createServer as createHttpServer, get } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createSecureContext, createServer as createTlsServer } from "node:tls";
import { eventually, Scope } from "@peapod/kit";
import { startPostgres } from "../companions/ambassador/protocols/postgres/postgres-server.fixture.ts";
import { startRedisServer } from "../companions/ambassador/protocols/redis/redis-server.fixture.ts";
import { makeAuthority } from "../companions/frame/credentials/certificates.fixture.ts";
import { collect, listenOn } from "./ambassador-peers.fixture.ts";
import { type AmbassadorProgram, client, folderFor, startAmbassador } from "./ambassador-program.fixture.ts";

const WITHIN = { withinMs: 20_000 };
const TEST = { timeout: 30_000 };
const MIB = 1024 * 1024;

/** Opens connections, a few at a time, each of which has had an answer. */
async function openMany(port: number, count: number, scope: Scope): Promise<Socket[]> {
  const sockets: Socket[] = [];
  scope.defer(() => {
    for (const socket of sockets) socket.destroy();
  });
  const openSome = async (): Promise<void> => {
    while (sockets.length < count) {
      const socket = connect({ port, host: "127.0.0.1" });
      sockets.push(socket);
      socket.write("hello");
      await once(socket, "data");
      socket.pause();
    }
  };
  await Promise.all(Array.from({ length: 50 }, openSome));
  return sockets;
}

/** The memory of `count` idle connections, for each: as soon as it is under `limit`, which it may take some seconds to be. */
async function measureIdle(
  program: AmbassadorProgram,
  listener: string,
  { count, limit }: { count: number; limit: number },
  scope: Scope,
): Promise<{ before: number; each: number }> {
  {
    await using warm = new Scope();
    await openMany(program.port(listener), 500, warm);
  }
  await eventually(async () => assert.equal(await program.metric("ambassador_connections_active", `"${listener}"`), 0), WITHIN);
  const before = program.rssBytes();
  const sockets = await openMany(program.port(listener), count, scope);
  assert.equal(await program.metric("ambassador_connections_active", `"${listener}"`), count);
  const cost = (): number => (program.rssBytes() - before) / count;
  // What making them left behind is collected once the program has nothing else to do.
  const each = await eventually(() => cost() < limit && cost(), { withinMs: 15_000, everyMs: 250 }).catch(() => cost());
  const last = sockets.at(-1) ?? connect(0);
  last.write("still there");
  last.resume();
  assert.deepEqual(await once(last, "data"), [Buffer.from("still there")]);
  return { before, each };
}

const echo = (socket: Socket): void => void socket.on("error", () => {}).pipe(socket);

test("5,000 idle connections take less than 20 KB each, through tcp", TEST, async (t: TestContext) => {
  await using scope = new Scope();
  const port = await listenOn(createServer(echo), scope);
  const program = await startAmbassador(scope, {
    accessLog: false,
    listeners: [{ protocol: "tcp", listen: "127.0.0.1:0", upstream: { endpoints: [`127.0.0.1:${port}`] } }],
  });
  const { before, each } = await measureIdle(program, "tcp", { count: 5_000, limit: 20_000 }, scope);
  t.diagnostic(`${(each / 1000).toFixed(1)} KB for each idle connection, over ${(before / MIB).toFixed(0)} MiB without any`);
  assert.ok(each < 20_000, `${each} bytes for each`);
});

// A client of nothing but node:tls takes 53 KB for each connection, outside of its heap. The bound is for what is added to that.
test("1,500 idle connections take less than 100 KB each, through TLS to the upstream", TEST, async (t: TestContext) => {
  await using scope = new Scope();
  const authority = await makeAuthority(scope);
  const { certFile, keyFile } = await authority.issue();
  const secureContext = createSecureContext({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
  const port = await listenOn(createTlsServer({ secureContext, SNICallback: (_, done) => done(null, secureContext) }, echo), scope);
  const upstream = { endpoints: [`localhost:${port}`], tls: { caFile: authority.caFile } };
  const program = await startAmbassador(scope, { accessLog: false, listeners: [{ protocol: "tls", listen: "127.0.0.1:0", upstream }] });
  const { before, each } = await measureIdle(program, "tls", { count: 1_500, limit: 100_000 }, scope);
  t.diagnostic(`${(each / 1000).toFixed(1)} KB for each idle connection, over ${(before / MIB).toFixed(0)} MiB without any`);
  assert.ok(each < 100_000, `${each} bytes for each`);
});

/** A stream that both ends know: `bytes` of it, from one end's `write`. */
function flood(socket: Socket, bytes: number): Promise<string> {
  const hash = createHash("sha256");
  const piece = Buffer.alloc(64 * 1024);
  let sent = 0;
  return new Promise((resolve) => {
    const more = (): void => {
      for (let goesOn = true; goesOn && sent < bytes; sent += piece.length) {
        piece.writeUInt32BE(sent, 0);
        const copy = Buffer.from(piece);
        hash.update(copy);
        goesOn = socket.write(copy);
      }
      if (sent < bytes) return void socket.once("drain", more);
      socket.end();
      resolve(hash.digest("hex"));
    };
    more();
  });
}

async function digest(socket: Socket): Promise<string> {
  const hash: Hash = createHash("sha256");
  socket.on("data", (chunk) => hash.update(chunk)).resume();
  await once(socket, "end");
  return hash.digest("hex");
}

for (const [who, isUpstream] of [
  ["clients that never read while the upstream floods them", true],
  ["an upstream that never reads while clients flood it", false],
] as const)
  test(`${who} cost a bounded memory, disturb nobody, and lose nothing`, TEST, async (t: TestContext) => {
    await using scope = new Scope();
    const [count, bytes] = [40, 32 * MIB];
    const far: Socket[] = []; // each at the place of its client, who says which that is
    const port = await listenOn(
      createServer({ allowHalfOpen: true }, (socket) => {
        socket.once("readable", () => (far[(socket.read(1) as Buffer)[0] ?? 0] = socket)); // it has a byte at least, and gives buffers
      }),
      scope,
    );
    const echoPort = await listenOn(createServer(echo), scope);
    const program = await startAmbassador(scope, {
      listeners: [
        { name: "flood", protocol: "tcp", listen: "127.0.0.1:0", upstream: { endpoints: [`127.0.0.1:${port}`] } },
        { name: "echo", protocol: "tcp", listen: "127.0.0.1:0", upstream: { endpoints: [`127.0.0.1:${echoPort}`] } },
      ],
    });
    const before = program.rssBytes();
    const near = Array.from({ length: count }, () => connect({ port: program.port("flood"), host: "127.0.0.1", allowHalfOpen: true }));
    scope.defer(() => near.forEach((socket) => void socket.destroy()));
    for (const [index, socket] of near.entries()) socket.write(Buffer.of(index));
    await eventually(() => Object.keys(far).length === count, WITHIN);
    const [floods, readers] = isUpstream ? [far, near] : [near, far];
    for (const socket of readers) socket.pause();
    const sent = floods.map((socket) => flood(socket, bytes));
    const passed = () =>
      program.metric("ambassador_bytes_total", `listener="flood",direction="${isUpstream ? "to_client" : "from_client"}"`);
    await eventually(async () => {
      const seen = await passed();
      await once(connect({ port: program.port("echo"), host: "127.0.0.1" }).end("ping"), "data"); // others are served meanwhile
      return seen > 0 && (await passed()) === seen;
    }, WITHIN);
    const growth = program.rssBytes() - before;
    t.diagnostic(`${(growth / MIB).toFixed(0)} MiB more with ${count} connections that are stuck`);
    assert.ok(growth < count * 2 * MIB, `${growth} bytes`);
    const whole = readers.slice(0, 4).map((socket) => digest(socket)); // the others stay stuck
    assert.deepEqual(await Promise.all(whole), await Promise.all(sent.slice(0, 4)));
  });

/** PostgreSQL, Redis and a web service behind one program. */
async function startThree(
  scope: Scope,
): Promise<{ program: AmbassadorProgram; config: (more?: object) => { listeners: Record<string, unknown>[] } }> {
  const folder = folderFor(scope);
  writeFileSync(join(folder, "password"), "secret\n");
  const [postgres, redis] = await Promise.all([
    startPostgres(scope, { version: 15, auth: "scram-sha-256", users: { app: "secret" }, databases: ["bench"] }),
    startRedisServer({ scope, args: "--user app on >secret ~* &* +@all".split(" ") }),
  ]);
  const web = createHttpServer(({ url }, response) => {
    response.write("slow ");
    setTimeout(() => response.end("but whole"), url === "/slow" ? 2_000 : 20);
  });
  web.keepAliveTimeout = 60_000;
  const webPort = await listenOn(web, scope);
  const login = { username: "app", passwordFile: join(folder, "password") };
  const config = (more: object = {}) => ({
    drainTimeout: "20s",
    accessLog: false,
    listeners: [
      { protocol: "postgres", listen: "127.0.0.1:0", login, upstream: { endpoints: [`127.0.0.1:${postgres.port}`] }, ...more },
      { protocol: "redis", listen: "127.0.0.1:0", login, upstream: { endpoints: [`127.0.0.1:${redis.port}`] }, ...more },
      { protocol: "http", listen: "127.0.0.1:0", upstream: { endpoints: [`127.0.0.1:${webPort}`] }, ...more },
    ],
  });
  const program = await startAmbassador(scope, config());
  const pgbench = await client("pgbench", ["-i", "-q", "-h", "127.0.0.1", "-p", `${program.port("postgres")}`, "-U", "legacy", "bench"]);
  assert.equal(pgbench.exitCode, 0, pgbench.stderr);
  return { program, config };
}

const pgbench = (program: AmbassadorProgram, ...args: string[]) =>
  client("pgbench", ["-n", "-S", "-h", "127.0.0.1", "-p", `${program.port("postgres")}`, "-U", "legacy", ...args, "bench"]);
const redisBenchmark = (program: AmbassadorProgram, ...args: string[]) =>
  client("redis-benchmark", ["-p", `${program.port("redis")}`, "-t", "get", "-q", ...args]);

test("SIGTERM under load cuts nothing that is established: every query, command and answer comes to its end", TEST, async () => {
  await using scope = new Scope();
  const { program } = await startThree(scope);
  const load = Promise.all([
    pgbench(program, "-c", "4", "-T", "4"),
    redisBenchmark(program, "-c", "10", "-n", "60000"),
    client("curl", ["-sS", `http://127.0.0.1:${program.port("http")}/slow`]),
  ]);
  const live = () => program.metric("ambassador_connections_active");
  await eventually(async () => (await live()) >= 15, { ...WITHIN, everyMs: 5 });
  program.kill("SIGTERM");
  await eventually(() => program.lines().some(({ message }) => message === "ambassador drains"), WITHIN);
  await eventually(async () => assert.equal((await collect(connect(program.port("redis"), "127.0.0.1"))).error, "ECONNREFUSED"), WITHIN);
  assert.match(await program.admin("/readyz"), /draining/);
  const [bench, redis, web] = await load;
  assert.deepEqual([bench.exitCode, redis.exitCode, web.stdout], [0, 0, "slow but whole"], `${bench.stderr}${redis.stderr}${web.stderr}`);
  assert.match(bench.stdout, /number of failed transactions: 0 /);
  assert.equal(await program.exited, 0);
  assert.equal(program.lines().at(-1)?.message, "ambassador ends");
});

async function fetchWith(agent: Agent, url: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  get(url, { agent }, (response) => {
    let body = "";
    response.setEncoding("utf8").on("data", (text: string) => (body += text));
    response.once("end", () => resolve(body)).once("error", reject);
  }).once("error", reject);
  return await promise;
}

test("reloads under load drop nothing, neither what is established nor what is connecting", TEST, async () => {
  await using scope = new Scope();
  const { program, config } = await startThree(scope);
  const isDone = new AbortController();
  const agent = new Agent({ keepAlive: true, maxSockets: 2 });
  scope.defer(() => agent.destroy());
  const url = `http://127.0.0.1:${program.port("http")}/`;
  const ways = [
    async () => (await client("curl", ["-sS", url])).stdout, // a connection for each request
    async () => await fetchWith(agent, url), // many on each
    async () => await fetchWith(agent, url),
  ];
  const asking = Promise.all(
    ways.map(async (ask) => {
      while (!isDone.signal.aborted) assert.equal(await ask(), "slow but whole");
    }),
  );
  asking.catch(() => {}); // told at the end
  const load = Promise.all([
    pgbench(program, "-c", "2", "-T", "3"),
    pgbench(program, "-C", "-c", "2", "-T", "3"),
    redisBenchmark(program, "-c", "10", "-n", "60000"),
    redisBenchmark(program, "-k", "0", "-c", "4", "-n", "2000"),
  ]);
  load.catch(() => {});
  let reloads = 0;
  const reloading = (async () => {
    while (!isDone.signal.aborted) {
      reloads += 1;
      program.configure(config({ handshakeTimeout: `${10 + (reloads % 5)}s` })); // every listener is another one
      program.kill("SIGHUP");
      await eventually(async () => (await program.metric("ambassador_config_reloads_total")) > reloads, WITHIN);
    }
  })();
  const results = await load;
  isDone.abort();
  await reloading;
  for (const { exitCode, stdout, stderr } of results) assert.equal(exitCode, 0, `${stdout}${stderr}`);
  for (const { stdout } of results.slice(0, 2)) assert.match(stdout, /number of failed transactions: 0 /);
  await asking;
  assert.ok(reloads > 3, `${reloads} reloads`);
  assert.equal(await program.metric("ambassador_config_reload_failures_total"), 0);
  const failures = (await program.admin("/metrics")).match(/^ambassador_failures_total.* [1-9].*$/gm) ?? [];
  assert.deepEqual(
    failures.filter((line) => !line.includes("CLIENT_GONE")),
    [],
    "a benchmark that is done leaves in the middle",
  );
});
