import { configSchema } from "../config/config-schema.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SecretSource } from "../../frame/credentials/secret.ts";
import { parseConfig } from "../../frame/config/parse-config.ts";
import type { Credentials } from "../credentials/credentials.ts";
import { CredentialAges } from "./credential-ages.ts";

const password = { kind: "file", path: "/run/secrets/password" } as const satisfies SecretSource;
const other: SecretSource = { kind: "file", path: "/run/secrets/other" };

/** One listener with four connections, of which each says when it is finished. */
function setUp(maxAge: string | undefined) {
  const login = { username: "app", passwordFile: password.path, ...(maxAge === undefined ? {} : { maxAge }) };
  const listener = { name: "db", protocol: "redis", listen: "127.0.0.1:1", upstream: { endpoints: ["127.0.0.1:2"] }, login };
  const [config] = parseConfig(configSchema, JSON.stringify({ listeners: [listener] }), "test").listeners;
  assert.ok(config);
  const finished: string[] = [];
  const connection = (name: string, secrets: readonly { source: SecretSource; version: number }[]) => ({
    secrets,
    finish: () => void finished.push(name),
  });
  const connections = [
    connection("old", [{ source: password, version: 1 }]),
    connection("new", [{ source: password, version: 2 }]),
    connection("other", [{ source: other, version: 1 }]),
    connection("none", []),
  ];
  let change: ((source: SecretSource, version: number) => void) | undefined;
  const credentials: Pick<Credentials, "onChange"> = {
    onChange: (listenerOfChanges) => {
      change = listenerOfChanges;
      return { [Symbol.dispose]: () => (change = undefined) };
    },
  };
  const ages = new CredentialAges(credentials, () => [{ config, connections }]);
  return { ages, finished, connections, change: (version = 2) => change?.(password, version) };
}

test("CredentialAges ends the connections that were made with the old credential, once they are too old, and no others", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { ages, finished, change } = setUp("1m");
  using _ages = ages;
  change();
  t.mock.timers.tick(59_999);
  assert.deepEqual(finished, []);
  t.mock.timers.tick(1);
  assert.deepEqual(finished, ["old"]);
});

test("CredentialAges ends a connection whose login with the old credential was under way when it changed, and none with a newer one", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { ages, finished, connections, change } = setUp("1m");
  using _ages = ages;
  change();
  const [old, , , loggingIn] = connections;
  assert.ok(old !== undefined && loggingIn !== undefined);
  loggingIn.secrets = [{ source: password, version: 1 }]; // said once the login is done
  old.secrets = [{ source: password, version: 3 }]; // logged in anew, with what came after the change
  t.mock.timers.tick(60_000);
  assert.deepEqual(finished, ["none"]);
});

test("CredentialAges waits out what is longer than one timer", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let nowMs = 0;
  t.mock.method(performance, "now", () => nowMs);
  const { ages, finished, change } = setUp("720h");
  using _ages = ages;
  change();
  const pass = (days: number): void => {
    nowMs += days * 86_400_000;
    t.mock.timers.tick(days * 86_400_000);
  };
  pass(25);
  assert.deepEqual(finished, []);
  pass(6);
  assert.deepEqual(finished, ["old"]);
});

test("CredentialAges ends nothing where there is no maximum age, and nothing once it is disposed of", () => {
  const forever = setUp(undefined);
  using _ages = forever.ages;
  forever.change();
  const disposed = setUp("1h");
  disposed.change();
  disposed.ages[Symbol.dispose](); // its timer would keep this test alive for an hour
  assert.deepEqual([forever.finished, disposed.finished], [[], []]);
});
