import { configSchema } from "./config-schema.ts";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AmbassadorError } from "../errors.ts";
import { chooseConfigSource, loadConfig } from "../../frame/config/load-config.ts";

const simple = { AMBASSADOR_PROTOCOL: "redis", AMBASSADOR_LISTEN: ":6379", AMBASSADOR_UPSTREAM: "cache.example" };

function refuses(says: string): (error: unknown) => boolean {
  return (error) => error instanceof AmbassadorError && error.code === "CONFIG_INVALID" && error.message.includes(says);
}

test("chooseConfigSource() takes the flag, else the variable, else the listener of the environment", () => {
  const named = { AMBASSADOR_CONFIG: "/b" };
  assert.deepEqual(chooseConfigSource(configSchema.variables, "/a", named), { kind: "file", path: "/a", environment: named });
  assert.deepEqual(chooseConfigSource(configSchema.variables, undefined, named), { kind: "file", path: "/b", environment: named });
  assert.deepEqual(chooseConfigSource(configSchema.variables, undefined, simple), { kind: "environment", environment: simple });
});

test("chooseConfigSource() refuses nothing at all, and a file with variables beside it", () => {
  assert.throws(
    () => chooseConfigSource(configSchema.variables, undefined, { PATH: "/bin" }),
    refuses("No configuration: name a file with --config"),
  );
  assert.throws(() => chooseConfigSource(configSchema.variables, "", simple), refuses("No configuration"));
  assert.throws(
    () => chooseConfigSource(configSchema.variables, "/a", simple),
    refuses("AMBASSADOR_UPSTREAM: there is a configuration file too, /a: say it there"),
  );
  const service = { AMBASSADOR_SERVICE_HOST: "10.0.0.1" };
  assert.deepEqual(chooseConfigSource(configSchema.variables, "/a", service), { kind: "file", path: "/a", environment: service });
});

test("loadConfig() reads from either", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "ambassador-config-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "ambassador.yaml");
  writeFileSync(path, "listeners: [{protocol: redis, listen: ':6379', upstream: {endpoints: [cache.example]}}]\n");
  assert.deepEqual(
    loadConfig(configSchema, { kind: "file", path, environment: {} }),
    loadConfig(configSchema, { kind: "environment", environment: simple }),
  );
  writeFileSync(path, "#".repeat(2 * 1024 * 1024));
  assert.throws(() => loadConfig(configSchema, { kind: "file", path, environment: {} }), refuses(`${path}:1: is over 1 MiB`));
  assert.throws(
    () => loadConfig(configSchema, { kind: "file", path: join(folder, "missing"), environment: {} }),
    refuses("missing: cannot be read: ENOENT"),
  );
  assert.throws(() => loadConfig(configSchema, { kind: "file", path: folder, environment: {} }), refuses("cannot be read: EISDIR"));
});

test("loadConfig() tells of a variable that there is not together with every other mistake, and the value with it once", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "ambassador-config-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "ambassador.yaml");
  writeFileSync(
    path,
    'listeners:\n  - protocol: redis\n    database: cache\n    listen: ":6379"\n    upstream: { endpoints: ["$(HOST):$(PORT)"] }\n',
  );
  assert.throws(() => loadConfig(configSchema, { kind: "file", path, environment: { PORT: "1" } }), {
    message:
      `${path}:3: listeners[0].database: expected a whole number, 0 to 1000000, found "cache"\n` +
      `${path}:5: listeners[0].upstream.endpoints[0]: there is no environment variable HOST`,
  });
  writeFileSync(path, "listeners:\n  - protocol: redis\n    listen: :6379\n    upstream: cache.example:6379\n");
  assert.throws(
    () => loadConfig(configSchema, { kind: "file", path, environment: {} }),
    refuses('upstream: expected a mapping, found "cache.example:6379"; its keys are endpoints, strategy, '),
  );
});
