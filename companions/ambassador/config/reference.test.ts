import { configSchema } from "./config-schema.ts";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { AmbassadorError } from "../errors.ts";
import { parseConfig } from "../../frame/config/parse-config.ts";
import { configurationReference } from "../../frame/config/reference.ts";

const document = readFileSync(join(import.meta.dirname, "../../../docs/ambassador-configuration.md"), "utf8");

test("configurationReference() has a type and a meaning for every key", () => {
  const sections = configurationReference(configSchema.type);
  for (const { path, fields } of sections)
    for (const { key, type, help } of fields) assert.ok(type !== "" && help !== "", `${path}.${key}`);
  assert.ok(sections.some(({ path }) => path === "listeners[].upstream.tls"));
});

test("configurationReference() tells which protocols have a key, where not all do", () => {
  const upstream = configurationReference(configSchema.type).find(({ path }) => path === "listeners[].upstream");
  const target = upstream?.fields.filter(({ key }) => key === "target") ?? [];
  assert.deepEqual(
    target.map(({ only }) => only),
    [["postgres", "mysql", "redis"]],
  );
  assert.deepEqual(
    upstream?.fields.filter(({ key }) => key === "endpoints").map(({ only }) => only),
    [[]],
  );
});

test("the largest example of the document has all six protocols", () => {
  const largest =
    [...document.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = ""]) => text).toSorted((a, b) => b.length - a.length)[0] ?? "";
  const protocols = parseConfig(configSchema, largest, "document").listeners.map(({ protocol }) => protocol);
  assert.deepEqual(protocols.toSorted(), ["http", "mysql", "postgres", "redis", "tcp", "tls"]);
});

test("the mistakes that the document shows are told as it says", () => {
  const [, shown = ""] = /```text\n([\s\S]*?)\n```/.exec(document) ?? [];
  const text = `listeners:
- protocol: postgress
  listen: :1
  upstream: { endpoints: [a] }

- protocol: postgres
  listen: :2
  login:
    password: hunter2
  upstream:
    endpoints: [a]
    tls: { mode: verify_full }
`;
  assert.throws(
    () => parseConfig(configSchema, text, "ambassador.yaml"),
    (error) => error instanceof AmbassadorError && error.message === shown,
  );
});
