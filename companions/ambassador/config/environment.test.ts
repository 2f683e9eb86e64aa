import { configSchema } from "./config-schema.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AmbassadorError } from "../errors.ts";
import { parseEnvironment } from "../../frame/config/environment.ts";
import type { Environment } from "../../frame/config/schema.ts";
import { parseConfig } from "../../frame/config/parse-config.ts";
import { ambassadorVariables } from "./variables.ts";

const least = { AMBASSADOR_PROTOCOL: "postgres", AMBASSADOR_LISTEN: "127.0.0.1:5432", AMBASSADOR_UPSTREAM: "db.example:5432" };

function problemsOf(environment: Environment): string[] {
  try {
    parseEnvironment(configSchema, environment);
  } catch (cause) {
    assert.ok(cause instanceof AmbassadorError && cause.code === "CONFIG_INVALID", String(cause));
    return cause.message.split("\n");
  }
  return [];
}

test("parseEnvironment() gives the same as the file that says the same", () => {
  const environment = {
    ...least,
    PATH: "/bin",
    AMBASSADOR_UPSTREAM: "db-0.example, db-1.example:5433",
    AMBASSADOR_USERNAME_FILE: "/run/u",
    AMBASSADOR_PASSWORD_FILE: "/run/p",
    AMBASSADOR_DATABASE: "orders",
    AMBASSADOR_TARGET: "read-write",
    AMBASSADOR_UPSTREAM_TLS: "verify-full",
    AMBASSADOR_CA_FILE: "/run/ca",
    AMBASSADOR_ADMIN_LISTEN: "0.0.0.0:9901",
    AMBASSADOR_NAME: "",
  };
  const file = `
admin: {listen: 0.0.0.0:9901}
listeners:
- protocol: postgres
  listen: 127.0.0.1:5432
  login: {usernameFile: /run/u, passwordFile: /run/p}
  database: orders
  upstream: {endpoints: [db-0.example, db-1.example:5433], target: read-write, tls: {mode: verify-full, caFile: /run/ca}}
`;
  assert.deepEqual(parseEnvironment(configSchema, environment), parseConfig(configSchema, file, "f.yaml"));
});

test("parseEnvironment() makes the authorization of http from the variables that are there", () => {
  const auth = (more: Environment): unknown => {
    const [listener] = parseEnvironment(configSchema, { ...least, AMBASSADOR_PROTOCOL: "http", ...more }).listeners;
    return listener?.protocol === "http" ? listener.auth : undefined;
  };
  assert.deepEqual(auth({ AMBASSADOR_USERNAME: "u", AMBASSADOR_PASSWORD_FILE: "/p" }), {
    kind: "basic",
    username: { kind: "value", value: "u" },
    password: { kind: "file", path: "/p" },
  });
  assert.deepEqual(auth({ AMBASSADOR_TOKEN_FILE: "/t" }), { kind: "bearer", token: { kind: "file", path: "/t" } });
  assert.deepEqual(auth({ AMBASSADOR_API_KEY_FILE: "/k" }), { kind: "api-key", header: "X-API-Key", key: { kind: "file", path: "/k" } });
  assert.equal(auth({}), undefined);
});

test("parseEnvironment() reports every problem at once, naming variable, value and what was expected", () => {
  const problems = problemsOf({
    ...least,
    AMBASSADOR_LISTEN: "localhost",
    AMBASSADOR_UPSTREAM: "db:1,db:x",
    AMBASSADOR_UPSTREAM_TLS: "verify_full",
    AMBASSADOR_MAX_CONNECTIONS: "-1",
    AMBASSADOR_CERT_FILE: "/c",
    AMBASSADOR_CA_FIL: "/ca",
    AMBASSADOR_LOG_LEVEL: "loud",
  });
  const expected = [
    "AMBASSADOR_CA_FIL: unknown variable; did you mean AMBASSADOR_CA_FILE?",
    "AMBASSADOR_KEY_FILE: is missing: a certificate is of no use without its key",
    'AMBASSADOR_LISTEN: expected an IP address and a port, such as 127.0.0.1:5432, "[::1]:5432" or :5432 (of 127.0.0.1), or unix:/path, found "localhost"',
    'AMBASSADOR_LOG_LEVEL: expected one of error, warn, info, debug, found "loud"',
    'AMBASSADOR_MAX_CONNECTIONS: expected a whole number, 1 to 1000000, found "-1"',
    'AMBASSADOR_UPSTREAM: expected a name or IP address and a port (5432 where it is left out), such as db.example:5432 or "[2001:db8::1]:5432", or unix:/path, found "db:x"',
    'AMBASSADOR_UPSTREAM_TLS: expected one of disable, prefer, require, verify-ca, verify-full, found "verify_full"; did you mean verify-full?',
  ];
  assert.deepEqual(problems.toSorted(), expected.toSorted());
});

const mistakes: readonly (readonly [more: Environment, says: string])[] = [
  [{ AMBASSADOR_PROTOCOL: "" }, "AMBASSADOR_PROTOCOL: is missing: one of tcp, tls"],
  [{ AMBASSADOR_LISTEN: "" }, "AMBASSADOR_LISTEN: is missing"],
  [{ AMBASSADOR_UPSTREAM: undefined }, "AMBASSADOR_UPSTREAM: is missing"],
  [{ AMBASSADOR_UPSTREAM: "127.0.0.1:5432" }, 'AMBASSADOR_UPSTREAM: "127.0.0.1:5432" is the listener\'s own address'],
  [{ AMBASSADOR_CERT_FILE: "/c" }, "AMBASSADOR_KEY_FILE: is missing"],
  [{ AMBASSADOR_PROTOCOL: "tcp", AMBASSADOR_DATABASE: "x" }, "AMBASSADOR_DATABASE: has no meaning for protocol tcp"],
  [{ AMBASSADOR_PROTOCOL: "tcp", AMBASSADOR_CA_FILE: "/x" }, "AMBASSADOR_CA_FILE: has no meaning for protocol tcp"],
  [
    { AMBASSADOR_PROTOCOL: "http", AMBASSADOR_TOKEN_FILE: "/t", AMBASSADOR_PASSWORD_FILE: "/p" },
    "AMBASSADOR_PASSWORD_FILE: cannot stand beside AMBASSADOR_TOKEN_FILE",
  ],
  [{ AMBASSADOR_USERNAME: "a", AMBASSADOR_USERNAME_FILE: "/b" }, "there is username too"],
  [{ AMBASSADOR_PASSWORD: "hunter2" }, "AMBASSADOR_PASSWORD: a secret does not stand in the environment"],
  [{ AMBASSADOR_PROTOCOL: "http", AMBASSADOR_TOKEN: "hunter2" }, "AMBASSADOR_TOKEN: a secret does not stand in the environment"],
  [{ AMBASSADOR_UPSTREAM: "postgres://app:hunter2@db" }, "AMBASSADOR_UPSTREAM: expected a name"],
];
for (const [more, says] of mistakes) {
  test(`parseEnvironment() refuses ${JSON.stringify(more)}: ${says}`, () => {
    const problems = problemsOf({ ...least, ...more });
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.ok(problems[0]?.includes(says) && !problems[0].includes("hunter2"), problems[0]);
  });
}

test("parseEnvironment() passes over what Kubernetes says of a Service called ambassador", () => {
  const links = {
    AMBASSADOR_SERVICE_HOST: "10.0.0.1",
    AMBASSADOR_SERVICE_PORT: "80",
    AMBASSADOR_SERVICE_PORT_HTTP: "80",
    AMBASSADOR_PORT: "tcp://10.0.0.1:80",
    AMBASSADOR_PORT_80_TCP: "tcp://10.0.0.1:80",
    AMBASSADOR_PORT_80_TCP_ADDR: "10.0.0.1",
    AMBASSADOR_POSTGRES_PORT_5432_TCP_PROTO: "tcp",
  };
  assert.deepEqual(problemsOf({ ...least, ...links }), []);
});

test("every variable stands for a key that some protocol has", () => {
  for (const { name } of ambassadorVariables.all) {
    const refusals = ["tcp", "tls", "http", "postgres", "mysql", "redis"].filter((protocol) =>
      problemsOf({ ...least, AMBASSADOR_PROTOCOL: protocol, [name]: name === "AMBASSADOR_PROTOCOL" ? protocol : "1" }).some((line) =>
        /unknown|no meaning/.test(line),
      ),
    );
    assert.ok(refusals.length < 6, name);
  }
});

test("parseEnvironment() takes or refuses any environment, with CONFIG_INVALID and nothing else", () => {
  const names = fc.oneof(
    fc.constantFrom(...ambassadorVariables.all.map(({ name }) => name)),
    fc.string({ maxLength: 5 }).map((text) => `AMBASSADOR_${text}`),
  );
  const values = fc.oneof(
    fc.constantFrom("tcp", "postgres", "http", ":1", "a:1", "/f", "true", "verify-full", "5s", "off", ",", "__proto__"),
    fc.string({ maxLength: 8 }),
  );
  fc.assert(
    fc.property(fc.dictionary(names, values), (environment) => void problemsOf(environment)),
    { numRuns: 300 },
  );
});
