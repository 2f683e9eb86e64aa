import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, after, test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { eventually, Scope, silentLogger } from "@peapod/kit";
import { Redis } from "ioredis";
import type { RedisListenerConfig } from "../../config/config.ts";
import { AmbassadorError } from "../../errors.ts";
import { makeAuthority } from "../../../frame/credentials/certificates.fixture.ts";
import { exchange, fileCredentials, listenerTo, listenOn, type Serving, startServing, targetOf } from "../tls/serving.fixture.ts";
import { type RedisServer, startRedisServer } from "./redis-server.fixture.ts";
import { redisProtocol } from "./redis.ts";
import { encodeCommand } from "./resp.ts";
import { scopeOf } from "../../../frame/test-scope.fixture.ts";

const exec = promisify(execFile);
const user = ["--user", "app", "on", ">s3cret", "~*", "&*", "+@all"];

const shared = new Scope();
let server: RedisServer;
let serving: Serving;

before(async () => {
  server = await startRedisServer({ scope: shared, args: [...user, "--requirepass", "default-secret"] });
  serving = await serve(shared, listener(server.port, { username: "app", password: "s3cret", database: 3 }));
});
after(() => shared[Symbol.asyncDispose]());

test("redisProtocol() serves redis-cli without a password, with a wrong one, and in RESP3", async () => {
  for (const args of [[], ["-a", "wrong"], ["--user", "me", "-a", "wrong"], ["-3"], ["-3", "-a", "wrong"]]) {
    const whoami = await exec("redis-cli", ["-p", `${serving.port}`, "--no-auth-warning", ...args, "ACL", "WHOAMI"]);
    assert.match(whoami.stdout, /app/);
    assert.equal(whoami.stderr, "");
  }
  assert.equal(serving.used.length > 0, true);
});

test("redisProtocol() notes the user that the application says, and never the one of the Secret", async (t) => {
  const noting = await serve(scopeOf(t), listener(server.port, { username: "app", password: "s3cret", database: 3 }));
  await exchange(noting.port, "PING\r\nAUTH wrong\r\nHELLO 3\r\n");
  assert.deepEqual(noting.notes, [{ database: "3" }]);
  await exchange(noting.port, "AUTH me wrong\r\nHELLO 3 SETNAME x AUTH you wrong\r\n");
  assert.deepEqual(noting.notes.slice(1), [{ database: "3" }, { user: "me" }, { user: "you" }]);
});

test("redisProtocol() answers each command in its place, logs in again after RESET, and keeps the database", async () => {
  const answers = await exchange(
    serving.port,
    ["AUTH wrong", "ECHO one", "MULTI", "AUTH wrong", "EXEC", "HELLO 3 AUTH me wrong SETNAME bob", "CLIENT GETNAME", "RESET", "ACL WHOAMI"]
      .concat(["CLIENT GETNAME", "CLIENT REPLY OFF", "ECHO unheard", "RESET", "MULTI", "RESET", "CLIENT INFO", "SELECT 5", "CLIENT INFO"])
      .map((line) => `${line}\r\n`)
      .join(""),
  );
  const plain = answers.replace(/%7\r\n[^]*?(?=\$3\r\nbob)/, "<hello>").replaceAll(/\$\d+\r\nid=.* (db=\d).* (user=\w+).*/g, "$1 $2");
  assert.equal(
    plain.replaceAll(/[\r\n]+/g, " "),
    "+OK $3 one +OK +QUEUED *1 +OK <hello>$3 bob +RESET $3 app $-1 +RESET +OK +RESET db=3 user=app +OK db=5 user=app ",
  );
});

test("redisProtocol() answers commands that come byte by byte", async () => {
  const input = Buffer.concat([encodeCommand("AUTH", "x"), encodeCommand("RESET"), encodeCommand("ECHO", "here"), encodeCommand("QUIT")]);
  const socket = connect({ port: serving.port, host: "127.0.0.1", noDelay: true });
  const heard: Buffer[] = [];
  socket.on("data", (chunk) => heard.push(chunk));
  for (const byte of input) {
    socket.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await new Promise((resolve) => socket.once("close", resolve));
  assert.equal(Buffer.concat(heard).toString(), "+OK\r\n+RESET\r\n$4\r\nhere\r\n+OK\r\n");
});

test("redisProtocol() serves ioredis: pipelines, MULTI, publish and subscribe, blocking, big values", async (t) => {
  const redis = client(t, serving.port);
  const subscriber = client(t, serving.port);
  const messages: string[] = [];
  subscriber.on("message", (_channel, message) => messages.push(message));
  await subscriber.subscribe("news");
  const piped = await redis.pipeline().set("key", "value").auth("wrong").get("key").exec();
  assert.deepEqual(piped, [
    [null, "OK"],
    [null, "OK"],
    [null, "value"],
  ]);
  assert.deepEqual(await redis.multi().incr("n").incr("n").exec(), [
    [null, 1],
    [null, 2],
  ]);
  await redis.publish("news", "hello");
  const popped = subscriber.duplicate();
  t.after(() => popped.disconnect());
  const waiting = popped.blpop("queue", 2);
  await redis.rpush("queue", "item");
  assert.deepEqual(await waiting, ["queue", "item"]);
  const big = Buffer.alloc(8_000_000, "*2\r\n$4\r\nAUTH\r\n+RESET\r\n");
  await redis.set("big", big);
  assert.equal((await redis.getBuffer("big"))?.equals(big), true);
  await eventually(() => messages.length === 1, { withinMs: 1_000 });
});

test("redisProtocol() ends a session that must end, but not before its transaction has", async (t) => {
  const scope = scopeOf(t);
  const ending = await serve(scope, listener(server.port, { username: "app", password: "s3cret" }));
  const [idle, queueing] = [connect(ending.port, "127.0.0.1"), connect(ending.port, "127.0.0.1")];
  const heard = { idle: "", queueing: "" };
  idle.on("data", (chunk) => (heard.idle += String(chunk))).write("PING\r\n");
  queueing.on("data", (chunk) => (heard.queueing += String(chunk))).write("MULTI\r\nECHO in\r\n");
  await eventually(() => heard.idle === "+PONG\r\n" && heard.queueing === "+OK\r\n+QUEUED\r\n", { withinMs: 2_000 });
  const isOver = Promise.all([idle, queueing].map((socket) => new Promise((resolve) => socket.once("close", resolve))));
  ending.end.abort();
  await new Promise((resolve) => idle.once("close", resolve));
  queueing.write("EXEC\r\n");
  await isOver;
  assert.equal(heard.queueing, "+OK\r\n+QUEUED\r\n*1\r\n$2\r\nin\r\n");
});

test("redisProtocol() serves redis-benchmark", async () => {
  const { stdout } = await exec("redis-benchmark", [
    "-p",
    `${serving.port}`,
    "-n",
    "4000",
    "-c",
    "8",
    "-P",
    "16",
    "-t",
    "set,lpush",
    "-a",
    "wrong",
    "--csv",
  ]);
  assert.match(stdout, /"SET",/);
  assert.match(stdout, /"LPUSH",/);
});

test("redisProtocol() reaches a server on a UNIX socket", async (t) => {
  const scope = scopeOf(t);
  const folder = await mkdtemp(join(tmpdir(), "ambassador-redis-socket-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "redis.sock");
  const upstream = await startRedisServer({ scope, args: [...user, "--unixsocket", path] });
  const config = listener(upstream.port, { username: "app", password: "s3cret" });
  const local = { ...config, upstream: { ...config.upstream, endpoints: [{ kind: "unix", path } as const] } };
  assert.match(
    await exchange((await serve(scope, local)).port, "ACL WHOAMI\r\nCLIENT INFO\r\n"),
    /^\$3\r\napp\r\n[^]* addr=\S*redis\.sock:0 /,
  );
});

test("redisProtocol() speaks TLS upstream, and uses a new password after the old one is refused", async (t) => {
  const scope = scopeOf(t);
  const authority = await makeAuthority(scope);
  const upstream = await startRedisServer({
    scope,
    tls: { ...(await authority.issue()), caFile: authority.caFile },
    args: ["--requirepass", "first"],
  });
  const path = join(authority.folder, "password");
  await writeFile(path, "first\n");
  const base = { ...listenerTo(upstream.port, { caFile: authority.caFile }), protocol: "redis" as const, database: undefined };
  const config: RedisListenerConfig = { ...base, login: { username: undefined, password: { kind: "file", path }, maxAgeMs: undefined } };
  const port = (await serve(scope, config)).port;
  const redis = client(t, port);
  assert.equal(await redis.ping(), "PONG");
  await redis.config("SET", "requirepass", "second");
  assert.match(await exchange(port, "PING\r\n"), /^-NOAUTH ambassador: the upstream refused the login\r\n$/);
  await writeFile(path, "second\n");
  assert.equal(await exchange(port, "PING\r\n"), "+PONG\r\n");
  assert.equal(await redis.ping(), "PONG");
  await redis.config("SET", "requirepass", "third");
  await assert.rejects(redis.reset(), /closed/); // the login after it is refused, and nobody else's answers are given
});

test("redisProtocol() reads the password again when it was refused while it changed", async () => {
  let reads = 0;
  const credentials = {
    ...fileCredentials,
    secret: () => (reads++ === 0 ? { text: "old", version: 1 } : { text: "default-secret", version: 2 }),
  };
  const config = listener(server.port, { password: "unused" });
  await redisProtocol(config, { credentials, log: silentLogger }).check?.(targetOf(config), AbortSignal.timeout(2_000));
  assert.equal(reads, 2);
});

test("redisProtocol() without a password in the configuration leaves AUTH to the application", async (t) => {
  const { port } = await serve(scopeOf(t), listener(server.port, {}));
  assert.match(
    await exchange(port, "PING\r\nAUTH wrong\r\nAUTH app s3cret\r\nPING\r\n"),
    /^-NOAUTH .*\r\n-WRONGPASS .*\r\n\+OK\r\n\+PONG\r\n$/,
  );
});

test("redisProtocol() takes only a server of the wanted role", async (t) => {
  const scope = scopeOf(t);
  const login = { username: "app", password: "s3cret" };
  const replica = await startRedisServer({ scope, args: [...user, "--replicaof", "127.0.0.1", "1"] });
  for (const [port, role, other] of [
    [server.port, "read-write", "read-only"],
    [replica.port, "read-only", "read-write"],
  ] as const) {
    const config = listener(port, { ...login, target: role });
    assert.equal(
      await redisProtocol(config, { credentials: fileCredentials, log: silentLogger }).check?.(
        targetOf(config),
        AbortSignal.timeout(2_000),
      ),
      role,
    );
    assert.equal(await exchange((await serve(scope, config)).port, "PING\r\n"), "+PONG\r\n");
    const refusing = await serve(scope, listener(port, { ...login, target: other }));
    assert.equal(await exchange(refusing.port, "PING\r\n"), "-ERR ambassador: no upstream has the wanted role\r\n");
  }
});

const refusals: { does: string; says: string; code: string; heard: RegExp }[] = [
  {
    does: "a server that loads",
    says: "+OK\r\n-LOADING Redis is loading the dataset in memory\r\n",
    code: "UPSTREAM_BUSY",
    heard: /takes no connections now/,
  },
  {
    does: "a server that is full",
    says: "-ERR max number of clients reached\r\n",
    code: "UPSTREAM_BUSY",
    heard: /takes no connections now/,
  },
  {
    does: "a server that repeats the password",
    says: "-WRONGPASS s3cret is wrong\r\n+PONG\r\n",
    code: "LOGIN_REFUSED",
    heard: /refused the login/,
  },
  {
    does: "a server that repeats the beginning of the password",
    says: "-ERR unknown command 'AUTH', with args beginning with: 's3cre\r\n+PONG\r\n",
    code: "LOGIN_REFUSED",
    heard: /refused the login/,
  },
  { does: "a server that ends", says: "+O", code: "UPSTREAM_PROTOCOL", heard: /does not speak Redis/ },
  { does: "another protocol", says: "220 mail.example ESMTP\r\n", code: "UPSTREAM_PROTOCOL", heard: /does not speak Redis/ },
  { does: "a line without an end", says: "+".repeat(100_000), code: "UPSTREAM_PROTOCOL", heard: /does not speak Redis/ },
  { does: "a length that cannot be", says: "$99999999999\r\n", code: "UPSTREAM_PROTOCOL", heard: /does not speak Redis/ },
  { does: "arrays without an end", says: "*1\r\n".repeat(10_000), code: "UPSTREAM_PROTOCOL", heard: /does not speak Redis/ },
];

for (const { does, says, code, heard } of refusals) {
  test(`redisProtocol() tells its client of ${does}, without the credential`, async (t) => {
    const scope = scopeOf(t);
    const fake = createServer((socket) => socket.on("error", () => {}).once("data", () => socket.end(says)));
    const refusing = await serve(scope, listener(await listenOn(fake, scope), { password: "s3cret" }));
    const reply = await exchange(refusing.port, "PING\r\n");
    assert.match(reply, heard);
    assert.doesNotMatch(reply, /s3cret|127\.0\.0\.1|localhost/);
    await eventually(() => refusing.outcomes.length === 1, { withinMs: 1_000 });
    const [failure] = refusing.outcomes;
    assert.ok(failure instanceof AmbassadorError);
    assert.equal(failure.code, code);
    assert.doesNotMatch(failure.message, /s3cre/);
  });
}

test("redisProtocol() leaves a server whose answer to the question for its role has no end", async (t) => {
  const scope = scopeOf(t);
  const item = Buffer.from(`$60000\r\n${"x".repeat(60_000)}\r\n`);
  let said = 0;
  const fake = createServer((socket) => {
    const say = (): void => {
      while (said++ < 4096 && socket.write(item));
    };
    socket.on("error", () => {}).on("drain", say);
    socket.once("data", () => socket.write("+OK\r\n+PONG\r\n*4096\r\n", say));
  });
  const refusing = await serve(scope, listener(await listenOn(fake, scope), { password: "s3cret", target: "read-write" }));
  assert.match(await exchange(refusing.port, "PING\r\n"), /does not speak Redis/);
  assert.ok(said < 400, `${said} items of 60 KB were taken`);
});

test("redisProtocol() gives up on a server that never answers, and on a client that never asks", async (t) => {
  const scope = scopeOf(t);
  const silent = listener(await listenOn(createServer(), scope), { password: "s3cret" });
  const quick = { ...silent, handshakeMs: 50, upstream: { ...silent.upstream, connectMs: 100 } };
  const refusing = await serve(scope, quick);
  assert.equal(await exchange(refusing.port, ""), "");
  assert.match(await exchange(refusing.port, "PING\r\n"), /^-ERR ambassador/);
});

interface Wanted {
  readonly username?: string;
  readonly password?: string;
  readonly database?: number;
  readonly target?: RedisListenerConfig["upstream"]["target"];
}

function listener(port: number, { username, password, database, target = "any" }: Wanted): RedisListenerConfig {
  const common = listenerTo(port);
  const secret = (value: string | undefined) => (value === undefined ? undefined : { kind: "value" as const, value });
  const login = { username: secret(username), password: secret(password), maxAgeMs: undefined };
  return { ...common, upstream: { ...common.upstream, target }, protocol: "redis", login, database };
}

async function serve(scope: Scope, config: RedisListenerConfig): Promise<Serving> {
  return await startServing(redisProtocol(config, { credentials: fileCredentials, log: silentLogger }), config, { scope });
}

function client(t: TestContext, port: number): Redis {
  const redis = new Redis({ port, host: "127.0.0.1", password: "hard-coded, long ago", retryStrategy: null });
  redis.on("error", () => {}); // the commands reject
  t.after(() => redis.disconnect());
  return redis;
}
