import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError, parseConfig } from "./config.ts";

test("parseConfig() has a default for everything", () => {
  const config = parseConfig([], {});
  assert.equal(config.stateDir, "/var/lib/peapod");
  assert.equal(config.runDir, "/run/peapod");
  assert.deepEqual(config.listen, { host: "127.0.0.1", port: 7443 });
  assert.equal(config.idleExitMinutes, undefined);
  assert.equal(config.pidsLimits.pod, 4096);
  assert.ok(typeof config.pidsLimits.total === "number" && config.pidsLimits.total > 4096);
  assert.match(config.nodeName, /^[a-z0-9.-]+$/);
});

test("parseConfig() lets a flag win over the environment", () => {
  const config = parseConfig(["--listen", "[::1]:0"], { PEAPOD_LISTEN: "127.0.0.1:1", PEAPOD_STATE_DIR: "/tmp/state/" });
  assert.deepEqual(config.listen, { host: "::1", port: 0 });
  assert.equal(config.stateDir, "/tmp/state");
});

test("parseConfig() takes limits of processes, and none for no limit", () => {
  const config = parseConfig(["--pod-pids-limit", "100"], { PEAPOD_TOTAL_PIDS_LIMIT: "none" });
  assert.deepEqual(config.pidsLimits, { pod: 100, total: "max" });
  for (const bad of ["0", "-1", "1.5", "max"]) assert.throws(() => parseConfig(["--pod-pids-limit", bad], {}), ConfigError, bad);
});

test("parseConfig() reports every problem at once, with name, value and what was expected", () => {
  const bad = { PEAPOD_STATE_DIR: "relative", PEAPOD_IDLE_EXIT_MINUTES: "-1", PEAPOD_LOG_LEVEL: "loud", PEAPOD_POD_CIDR: "10.0.0.0/8" };
  assert.throws(
    () => parseConfig(["--listen=nowhere"], bad),
    (error) =>
      error instanceof ConfigError &&
      ["PEAPOD_STATE_DIR", "PEAPOD_IDLE_EXIT_MINUTES", "PEAPOD_LOG_LEVEL", "PEAPOD_POD_CIDR", '--listen: "nowhere" is not HOST:PORT'].every(
        (text) => error.message.includes(text),
      ),
  );
});

test("parseConfig() refuses a flag it does not know", () => {
  assert.throws(() => parseConfig(["--nonsense"], {}), ConfigError);
});
