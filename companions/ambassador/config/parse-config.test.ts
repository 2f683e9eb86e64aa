import { configSchema } from "./config-schema.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AmbassadorError } from "../errors.ts";
import type { AmbassadorConfig, ListenerConfig } from "./config.ts";
import { parseConfig } from "../../frame/config/parse-config.ts";

/** The lines of what `text` is refused with. */
function problemsOf(text: string): string[] {
  try {
    parseConfig(configSchema, text, "f.yaml");
  } catch (cause) {
    assert.ok(cause instanceof AmbassadorError, String(cause));
    assert.equal(cause.code, "CONFIG_INVALID");
    return cause.message.split("\n");
  }
  return [];
}

function only(text: string): ListenerConfig {
  const [listener] = parseConfig(configSchema, text, "f.yaml").listeners;
  assert.ok(listener !== undefined);
  return listener;
}

/** A listener that is fine, with more lines of its own, and of its upstream. */
function listener(protocol: string, lines: readonly string[] = [], upstream: readonly string[] = []): string {
  return [
    "listeners:",
    `- protocol: ${protocol}`,
    "  listen: 127.0.0.1:1",
    ...lines.map((line) => `  ${line}`),
    "  upstream:",
    "    endpoints: [db.example:2]",
    ...upstream.map((line) => `    ${line}`),
  ].join("\n");
}

test("parseConfig() needs no more than protocol, listen and endpoints, and has a default for all else", () => {
  const config = parseConfig(
    configSchema,
    "listeners: [{protocol: tcp, listen: ':5432', upstream: {endpoints: ['db.example:5432']}}]",
    "f.yaml",
  );
  assert.deepEqual(config, {
    admin: undefined,
    logLevel: "info",
    accessLog: false,
    drainMs: 25_000,
    listeners: [
      {
        protocol: "tcp",
        name: "tcp",
        listen: { kind: "tcp", host: "127.0.0.1", port: 5432 },
        socketMode: 0o660,
        acceptProxyProtocol: false,
        serverTls: undefined,
        handshakeMs: 10_000,
        limits: { connections: 10_000, queue: { length: 0, timeoutMs: 5000 }, rate: undefined },
        upstream: {
          endpoints: [{ kind: "tcp", host: "db.example", port: 5432 }],
          strategy: "first-available",
          target: "any",
          tls: undefined,
          sendProxyProtocol: undefined,
          connectMs: 5000,
          retry: { attempts: 3, backoffMs: 100, maxBackoffMs: 2000 },
          healthCheck: undefined,
          ejection: undefined,
          circuitBreaker: undefined,
          resolveEveryMs: 30_000,
          keepAliveMs: 30_000,
        },
        datapath: "user",
      },
    ],
  } satisfies AmbassadorConfig);
});

test("parseConfig() gives an object that nobody can change, all the way down", () => {
  const { upstream } = only(listener("postgres"));
  assert.ok(Object.isFrozen(upstream) && Object.isFrozen(upstream.endpoints) && Object.isFrozen(upstream.endpoints[0]));
});

test("parseConfig() checks health and ejects by default only where there is something to choose", () => {
  const several = only(listener("postgres", [], ["# a comment"]).replace("[db.example:2]", "[a, b]")).upstream;
  assert.deepEqual(several.healthCheck, {
    kind: "login",
    everyMs: 10_000,
    timeoutMs: 3000,
    unhealthyAfter: 3,
    healthyAfter: 2,
    closeConnections: false,
    path: "/",
  });
  assert.deepEqual(several.ejection, { failures: 5, forMs: 30_000 });
  const one = only(listener("postgres")).upstream;
  assert.deepEqual([one.healthCheck, one.ejection], [undefined, undefined]);
  assert.equal(only(listener("http", [], ["healthCheck: {}"])).upstream.healthCheck?.kind, "connect");
  const off = only(listener("redis", [], ["healthCheck: off", "keepAlive: off"])).upstream;
  assert.deepEqual([off.healthCheck, off.keepAliveMs], [undefined, undefined]);
});

test("parseConfig() goes along with a password in the clear only where TLS verified the server", () => {
  const weakest = (tls: string): unknown => {
    const parsed = only(listener("postgres", [], tls === "" ? [] : [`tls: ${tls}`]));
    return parsed.protocol === "postgres" ? parsed.weakestAuth : undefined;
  };
  assert.deepEqual(["{}", "{mode: verify-ca, caFile: /ca}", "{mode: require}", "{mode: disable}", ""].map(weakest), [
    "password",
    "password",
    "scram-sha-256",
    "scram-sha-256",
    "scram-sha-256",
  ]);
});

test("parseConfig() takes every scalar as text: octal modes, a user called no, nothing at all", () => {
  const parsed = only(listener("postgres", ["socketMode: 0600", "name: 007", "login: {username: no}", "database: ~", "serverTls:"]));
  assert.ok(parsed.protocol === "postgres");
  assert.deepEqual([parsed.socketMode, parsed.name, parsed.database, parsed.serverTls], [0o600, "007", undefined, undefined]);
  assert.deepEqual(parsed.login, { username: { kind: "value", value: "no" }, password: undefined, maxAgeMs: undefined });
});

test("parseConfig() verifies by default where the protocol is tls", () => {
  assert.equal(only(listener("tls")).upstream.tls?.mode, "verify-full");
});

test("parseConfig() reports every problem at once, in the order of the lines", () => {
  const text = [
    "listeners:",
    "- protocol: postgres",
    "  listen: 5432",
    "  login: {usrname: app}",
    "  upstream:",
    "    tls: { mode: verify_full }",
    "    connectTimeout: 5",
    "- protocol: tcp",
    "  listen: :1",
    "logLevel: loud",
  ].join("\n");
  assert.deepEqual(
    problemsOf(text).map((line) => line.split(":").slice(1, 3).join(":")),
    [
      "3: listeners[0].listen",
      "4: listeners[0].login.usrname",
      "5: listeners[0].upstream.endpoints",
      "6: listeners[0].upstream.tls.mode",
      "7: listeners[0].upstream.connectTimeout",
      "8: listeners[1].upstream",
      "10: logLevel",
    ],
  );
});

test("parseConfig() shows as many problems as somebody reads", () => {
  const many = Array.from({ length: 200 }, (_, index) => `key${index}: x`).join("\n");
  const problems = problemsOf(`${many}\n${listener("tcp")}`);
  assert.deepEqual([problems.length, problems.at(-1)], [51, "and 150 more"]);
});

/** What makes a fine listener one that is not, and a part of the one line that says so. */
const mistakes: readonly (readonly [text: string, says: string])[] = [
  ["", "f.yaml:1: is empty"],
  ["# nothing", "f.yaml:1: is empty"],
  ["listeners: []", "f.yaml:1: listeners: expected at least 1 of listeners"],
  ["listeners: {}", "listeners: expected a list of listeners, found a mapping"],
  ["listeners: [x]", 'listeners[0]: expected a mapping, found "x"'],
  [
    listener("postgress"),
    'f.yaml:2: listeners[0].protocol: expected one of tcp, tls, http, postgres, mysql, redis, found "postgress"; did you mean postgres?',
  ],
  [listener("tcp", ["conections: 5"]), "f.yaml:4: listeners[0].conections: unknown key; known here: protocol, name, listen"],
  [listener("tcp", ["datapth: user"]), "did you mean datapath?"],
  [listener("tcp", ["toString: x", "name: x"]), "listeners[0].toString: unknown key"],
  [listener("tcp", ["__proto__: x"]), "listeners[0].__proto__: unknown key"],
  [listener("tcp", [], ["tls: {}"]), "say protocol: tls"],
  [listener("tcp", [], ["target: any"]), "servers have roles only for"],
  [listener("tcp").replace("db.example:2", "db.example"), "expected a name or IP address and a port, such as db.example:5432"],
  [listener("tcp").replace("db.example:2", "db.example:0"), "listeners[0].upstream.endpoints[0]: expected"],
  [listener("tcp").replace("db.example:2", "127.0.0.1:1"), "it would forward to itself"],
  [listener("tcp").replace("db.example:2", "a:1, b:1, a:1"), "endpoints[2]: a:1 is there twice"],
  [listener("tls", [], ["tls: {mode: disable}"]), "expected one of require, verify-ca, verify-full"],
  [listener("redis", [], ["tls: {mode: prefer}"]), "expected one of disable, require, verify-ca, verify-full"],
  [listener("mysql", [], ["tls: {direct: true}"]), "direct TLS is a matter of postgres"],
  [listener("postgres", [], ["tls: {direct: true, mode: prefer}"]), "upstream.tls.direct: needs a mode of require or stronger"],
  [listener("postgres", ["channelBinding: require"]), "channelBinding: needs upstream.tls"],
  [listener("postgres", [], ["tls: {certFile: /c}"]), "upstream.tls.keyFile: is missing"],
  [listener("postgres", [], ["tls: {keyFile: /k}"]), "upstream.tls.certFile: is missing"],
  [listener("postgres", [], ["tls: {mode: require, caFile: /c}"]), "is not looked at with mode require"],
  [listener("tls", [], ["tls: {mode: verify-ca}"]), "upstream.tls.caFile: is missing: verify-ca asks for no name"],
  [listener("postgres", [], ["tls: {caFile: ca.crt}"]), 'expected an absolute path, found "ca.crt"'],
  [listener("postgres", [], ["tls: {}"]).replace("db.example:2", "unix:/s"), "upstream.tls.serverName: is missing"],
  [listener("postgres", [], ["retry: {backoff: 3s}"]), "retry.backoff: is longer than maxBackoff"],
  [
    listener("postgres", [], ["healthCheck: {interval: 1s}"]),
    "healthCheck.timeout: is 3000 ms, longer than the interval, 1000 ms: checks would pile up",
  ],
  [listener("postgres", [], ["healthCheck: {kind: http}"]), "expected one of login, connect"],
  [
    listener("postgres", [], ["connectTimeout: 5"]),
    'expected a time with its unit, such as 200ms, 5s or 1m30s, from 10ms to 10m, found "5"',
  ],
  [listener("postgres", [], ["connectTimeout: 11m"]), "from 10ms to 10m"],
  [listener("postgres", ["limits: {connections: 0}"]), "expected a whole number, 1 to 1000000"],
  [listener("postgres", ["limits: {rate: {burst: 5}}"]), "limits.rate.perSecond: is missing"],
  [listener("postgres", ["login: {username: a, usernameFile: /b}"]), "usernameFile: there is username too: only one of the two"],
  [listener("redis", ["database: cache"]), "expected a whole number"],
  [listener("redis", ["socketMode: 999"]), "expected permissions in octal, such as 0660"],
  [listener("http", ["auth: {kind: bearr}"]), "did you mean bearer?"],
  [listener("http", ["auth: {tokenFile: /t}"]), "auth.kind: is missing: one of basic, bearer, api-key"],
  [listener("http", ["auth: {kind: basic, passwordFile: /p}"]), "auth.username: is missing: username or usernameFile"],
  [listener("http", ["headers: [{name: 'a b', valueFile: /v}]"]), "headers[0].name: expected the name of a header"],
  [listener("http", ['headers: [{name: A, value: "x\\r\\ny: z"}]']), "headers[0].value: expected a text"],
  [listener("http", ["headers: [{name: Content-Length, value: '5'}]"]), "headers[0].name: is the connection's own affair"],
  [listener("http", ["headers: [{name: Host, value: a}]"]), "headers[0].name: say hostHeader for it"],
  [listener("http", ["headers: [{name: X-A, value: a}, {name: x-a, value: b}]"]), "headers[1].name: x-a is there twice"],
  [
    listener("http", ["headers: [{name: Authorization, valueFile: /a}]", "auth: {kind: bearer, tokenFile: /t}"]),
    "headers[0].name: is what auth sets",
  ],
  [listener("http", ["auth: {kind: api-key, keyFile: /k, header: Connection}"]), "auth.header: is the connection's own affair"],
  [listener("http", ["name: <script>"]), "listeners[0].name: expected up to 63 letters"],
  [
    listener("tcp", ["datapath: kernel"], ["healthCheck: {closeConnections: true}"]),
    "upstream.healthCheck.closeConnections: needs datapath: user",
  ],
  [listener("postgres", [], ["healthCheck: {closeConnections: 1}"]), "healthCheck.closeConnections: expected true or false"],
  [listener("tcp", ["datapath: kernel", "acceptProxyProtocol: true"]), "acceptProxyProtocol: a PROXY protocol header needs datapath: user"],
  [listener("tcp", ["datapath: kernel", "limits: {rate: {perSecond: 1}}"]), "limits.rate: a rate limit needs datapath: user"],
  [listener("tcp", ["datapath: kernel", "serverTls: {certFile: /c, keyFile: /k}"]), "serverTls: TLS needs datapath: user"],
  [listener("tcp", ["datapath: kernel"], ["sendProxyProtocol: v1"]), "upstream.sendProxyProtocol: a PROXY protocol header needs"],
  [listener("tcp", ["datapath: kernel"]).replace("127.0.0.1:1", "0.0.0.0:1"), "listeners[0].listen: needs an address in 127.0.0.0/8"],
  [listener("tcp", ["datapath: kernel"]).replace("127.0.0.1:1", "'[::1]:1'"), "listeners[0].listen: needs an address in 127.0.0.0/8"],
  [listener("tcp", ["datapath: kernel"]).replace("db.example:2", "'[2001:db8::1]:2'"), "upstream.endpoints[0]: is an IPv6 address"],
  [listener("tcp", ["datapath: kernel"], ["strategy: round-robin"]), "upstream.strategy: needs datapath: user"],
  [listener("http", ["datapath: kernel"]), "datapath: unknown key"],
  [`${listener("tcp")}\nadmin: {listen: 0.0.0.0:1}`, "listeners[0].listen: 127.0.0.1:1 is taken by admin (0.0.0.0:1)"],
  ["a: [", "is not valid YAML"],
  ["a: 1\na: 2", "Map keys must be unique"],
  ["listeners: []\na: *b", "f.yaml:2: has no &b before this *b"],
  [`${listener("tcp")}\n---\na: 1`, "is a second document"],
  ["a: !!js/function x", "is not valid YAML"],
  ["[".repeat(20_000), "f.yaml:1: is n"],
  [`a: ${"[".repeat(40)}${"]".repeat(40)}`, "is nested more than 32 levels deep"],
  [`# ${"x".repeat(1024 * 1024)}`, "is over 1 MiB"],
];
for (const [text, says] of mistakes) {
  test(`parseConfig() refuses ${JSON.stringify(text.slice(0, 150).replaceAll("\n", " "))}: ${says}`, () => {
    const problems = problemsOf(text);
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.ok(problems[0]?.includes(says), problems[0]);
  });
}

test("parseConfig() wants names and addresses to be unique, as far as they collide", () => {
  const two = (first: string, second: string): string[] =>
    problemsOf(
      `listeners:\n- {name: a, protocol: tcp, listen: '${first}', upstream: {endpoints: ['x:1']}}\n- {name: b, protocol: tcp, listen: '${second}', upstream: {endpoints: ['x:1']}}`,
    );
  for (const [first, second] of [
    [":5", "127.0.0.1:5"],
    ["0.0.0.0:5", "127.0.0.2:5"],
    ["[::]:5", ":5"],
    ["localhost:5", ":5"],
    ["unix:/a", "unix:/a"],
  ] as const)
    assert.match(two(first, second).join("\n"), /^f\.yaml:3: listeners\[1\]\.listen: .* is taken by listeners\[0\]/, `${first} ${second}`);
  for (const [first, second] of [
    [":5", ":6"],
    [":0", ":0"],
    ["127.0.0.1:5", "127.0.0.2:5"],
    ["0.0.0.0:5", "[::1]:5"],
    ["unix:/a", "unix:/b"],
  ] as const)
    assert.deepEqual(two(first, second), [], `${first} ${second}`);
  const sameName = `${listener("tcp")}\n- {protocol: tcp, listen: ':3', upstream: {endpoints: ['x:1']}}`;
  assert.deepEqual(problemsOf(sameName), ['f.yaml:6: listeners[1].name: "tcp" is the name of listeners[0] too: give each one of its own']);
});

test("parseConfig() refuses listeners that forward in a circle, and takes a chain of them", () => {
  const three = (last: string): string => {
    const hops = [
      [":1", "localhost:2"],
      [":2", "127.0.0.1:3"],
      ["0.0.0.0:3", last],
    ];
    const entries = hops.map(
      ([listen, endpoint], index) => `- {name: l${index}, protocol: tcp, listen: '${listen}', upstream: {endpoints: ['${endpoint}']}}`,
    );
    return ["listeners:", ...entries].join("\n");
  };
  assert.deepEqual(problemsOf(three("x:1")), []);
  const circle = [0, 1, 2].map(
    (index) => `f.yaml:${index + 2}: listeners[${index}].upstream.endpoints: lead back to this listener, by way of others`,
  );
  assert.deepEqual(problemsOf(three(":1")), circle);
});

test("parseConfig() has defaults within its own bounds", () => {
  const upstream = ["healthCheck: {}", "ejection: {}", "circuitBreaker: {}", "retry: {}"];
  for (const protocol of ["tcp", "tls", "http", "postgres", "mysql", "redis"])
    assert.deepEqual(
      problemsOf(
        listener(protocol, ["limits: {queue: {}, rate: {perSecond: 3}}"], protocol === "tcp" ? upstream : [...upstream, "tls: {}"]),
      ),
      [],
    );
  const parsed = only(
    listener("http", [
      "limits: {rate: {perSecond: 3}}",
      "auth: {kind: oauth2-client-credentials, tokenUrl: 'https://a/', clientId: a, clientSecretFile: /s}",
    ]),
  );
  assert.ok(parsed.protocol === "http" && parsed.auth?.kind === "oauth2-client-credentials");
  assert.deepEqual([parsed.limits.rate?.burst, parsed.auth.scopes, parsed.auth.refreshBeforeMs], [3, [], 60_000]);
});

test("parseConfig() never says what may be a secret", () => {
  const secret = "hunter2";
  const texts = [
    listener("postgres", [`login: {password: ${secret}}`]),
    listener("postgres", [`login: {password: {file: ${secret}}}`]),
    listener("http", [`auth: {kind: bearer, token: ${secret}}`]),
    listener("http", [`auth: {kind: oauth2-client-credentials, clientId: x, clientSecretFile: /x, tokenUrl: "https://x:${secret}@y/"}`]),
    listener("http", [`headers: [{name: Authorization, value: Bearer ${secret}}]`]),
    listener("http", [`headers: [{name: X-Api-Key, value: ${secret}}]`]),
    listener("postgres").replace("db.example:2", `"postgres://app:${secret}@db.example/orders"`),
  ];
  for (const text of texts) {
    const said = problemsOf(text).join("\n");
    assert.notEqual(said, "", text);
    assert.ok(!said.includes(secret), said);
  }
});

test("parseConfig() refuses an alias that stands for billions of things, and takes one that stands for a few", () => {
  const levels = Array.from(
    { length: 12 },
    (_, level) => `l${level + 1}: &l${level + 1} [${Array.from({ length: 9 }, () => `*l${level}`).join(", ")}]`,
  );
  assert.match(problemsOf(["l0: &l0 [x, x]", ...levels].join("\n")).join("\n"), /says more than 50000 things/);
  assert.match(problemsOf("a: &a [*a]").join("\n"), /f\.yaml:1: /);
  const shared =
    "listeners:\n- {name: a, protocol: tcp, listen: ':1', upstream: &u {endpoints: ['x:1'], conectTimeout: 5s}}\n- {name: b, protocol: tcp, listen: ':2', upstream: *u}";
  assert.deepEqual(problemsOf(shared), [
    "f.yaml:2: listeners[0].upstream.conectTimeout: unknown key; did you mean connectTimeout?",
    "f.yaml:2: listeners[1].upstream.conectTimeout: unknown key; did you mean connectTimeout?",
  ]);
});

test("parseConfig() takes or refuses any text, with CONFIG_INVALID and nothing else", () => {
  const words = fc.constantFrom(
    "listeners",
    "protocol",
    "postgres",
    "tcp",
    "listen",
    ":1",
    "upstream",
    "endpoints",
    "a:1",
    "tls",
    "mode",
    "off",
    "~",
    "*a",
    "&a",
    "{",
    "}",
    "[",
    "]",
    ": ",
    ", ",
    "- ",
    "\n",
    "\n  ",
    '"',
    "'",
    "|\n",
    "#",
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(words, fc.string({ maxLength: 3 })), { maxLength: 40 }), (parts) => {
      problemsOf(parts.join(""));
    }),
    { numRuns: 500 },
  );
});

test("parseConfig() of a file that is cut anywhere takes it or names a line in it", () => {
  const whole = listener("postgres", ["login: {usernameFile: /u, passwordFile: /p}", "limits: {connections: 5}"], ["tls: {caFile: /ca}"]);
  for (let length = 0; length < whole.length; length += 1)
    for (const line of problemsOf(whole.slice(0, length))) assert.match(line, /^f\.yaml:[1-9]: /, `cut after ${length}`);
});
