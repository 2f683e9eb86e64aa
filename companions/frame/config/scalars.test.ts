import assert from "node:assert/strict";
import { test } from "node:test";
import { Place, type Problem, type Type, unreadable } from "./decode.ts";
import { absolutePath, boolean, duration, endpointAddress, fileMode, integer, listenAddress, tokenUrl, urlPath } from "./scalars.ts";

/** The value, or undefined where it is refused. */
function read<T>(type: Type<T>, text: string): T | undefined {
  const problems: Problem[] = [];
  try {
    return type.decode(text, new Place(problems));
  } catch (cause) {
    assert.equal(cause, unreadable);
    assert.equal(problems.length, 1);
    return undefined;
  }
}

/** Each text and what it is read as; undefined: refused. */
const tables: readonly { readonly name: string; readonly type: Type<unknown>; readonly cases: Readonly<Record<string, unknown>> }[] = [
  {
    name: "duration()",
    type: duration("0s", "24h"),
    cases: {
      "5s": 5000,
      "200ms": 200,
      "1m30s": 90_000,
      "1.5h": 5_400_000,
      "0s": 0,
      "24h": 86_400_000,
      "25h": undefined,
      "5": undefined,
      "": undefined,
      "-5s": undefined,
      "5 s": undefined,
      "5S": undefined,
      s: undefined,
      "1e3s": undefined,
      "5s5": undefined,
    },
  },
  {
    name: "integer()",
    type: integer(1, 10),
    cases: {
      "1": 1,
      "10": 10,
      "010": 10,
      "0": undefined,
      "11": undefined,
      "1.0": undefined,
      "+1": undefined,
      "1e1": undefined,
      "": undefined,
      "0x5": undefined,
    },
  },
  {
    name: "boolean",
    type: boolean,
    cases: { true: true, false: false, yes: undefined, "": undefined, True: undefined, constructor: undefined },
  },
  {
    name: "listenAddress",
    type: listenAddress,
    cases: {
      "127.0.0.1:5432": { kind: "tcp", host: "127.0.0.1", port: 5432 },
      ":5432": { kind: "tcp", host: "127.0.0.1", port: 5432 },
      "localhost:5432": { kind: "tcp", host: "127.0.0.1", port: 5432 },
      "[::1]:5432": { kind: "tcp", host: "::1", port: 5432 },
      "[::0]:5432": { kind: "tcp", host: "::", port: 5432 },
      "[2001:DB8:0:0::1]:5432": { kind: "tcp", host: "2001:db8::1", port: 5432 },
      "[fe80::1%eth0]:5432": { kind: "tcp", host: "fe80::1%eth0", port: 5432 },
      ":0": { kind: "tcp", host: "127.0.0.1", port: 0 },
      "unix:/run/db.sock": { kind: "unix", path: "/run/db.sock" },
      "::1:5432": undefined,
      "db.example:5432": undefined,
      "127.0.0.1": undefined,
      "127.0.0.1:65536": undefined,
      "127.0.0.256:1": undefined,
      "[127.0.0.1]:1": undefined,
      "5432": undefined,
      "unix:run": undefined,
      [`unix:/${"x".repeat(107)}`]: undefined,
      "*:5432": undefined,
    },
  },
  {
    name: "endpointAddress()",
    type: endpointAddress(5432),
    cases: {
      "db.example": { kind: "tcp", host: "db.example", port: 5432 },
      "db_1.example.:1": { kind: "tcp", host: "db_1.example.", port: 1 },
      ":80": { kind: "tcp", host: "127.0.0.1", port: 80 },
      "[2001:db8::1]": { kind: "tcp", host: "2001:db8::1", port: 5432 },
      "10.0.0.1:1": { kind: "tcp", host: "10.0.0.1", port: 1 },
      "db.example:0": undefined,
      "db example": undefined,
      "-db": undefined,
      "10.0.0": undefined,
      "postgres://db": undefined,
      "": undefined,
      "a..b": undefined,
    },
  },
  {
    name: "fileMode",
    type: fileMode,
    cases: { "0660": 0o660, "660": 0o660, "0o600": 0o600, "0888": undefined, "06600": undefined, "": undefined },
  },
  { name: "absolutePath", type: absolutePath, cases: { "/a": "/a", a: undefined, "": undefined, "/a\0": undefined } },
  {
    name: "urlPath",
    type: urlPath,
    cases: { "/": "/", "/healthz?x=1": "/healthz?x=1", healthz: undefined, "/a b": undefined, "/\r\n": undefined },
  },
  {
    name: "tokenUrl",
    type: tokenUrl,
    cases: {
      "https://login.example/token": "https://login.example/token",
      "http://127.0.0.1:8080/token": "http://127.0.0.1:8080/token",
      "http://[::1]:8080/token": "http://[::1]:8080/token",
      "http://login.example/token": undefined,
      "https://a:b@login.example/token": undefined,
      "file:///etc/passwd": undefined,
      token: undefined,
    },
  },
];
for (const { name, type, cases } of tables) {
  test(`${name} reads what it should, and nothing else`, () => {
    for (const [text, value] of Object.entries(cases)) assert.deepEqual(read(type, text), value, JSON.stringify(text));
  });
}
