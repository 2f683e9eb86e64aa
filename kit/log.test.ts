import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger, type LogLevel, silentLogger } from "./log.ts";

function capture(level: LogLevel, fields?: Record<string, unknown>) {
  const lines: string[] = [];
  const log = createLogger({ level, write: (line) => lines.push(line), ...(fields === undefined ? {} : { fields }) });
  return { log, lines, parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test("createLogger() writes one JSON object a line: time, level, message, then the fields", () => {
  const { log, lines, parsed } = capture("debug", { engine: "e1" });
  log.with({ pod: "web" }).info("container started", { attempt: 2, text: "two\nlines" });
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /^\{.*\}\n$/);
  const [line] = parsed();
  assert.deepEqual(Object.keys(line ?? {}), ["time", "level", "message", "engine", "pod", "attempt", "text"]);
  assert.ok(Math.abs(Date.parse(String(line?.["time"])) - Date.now()) < 5_000);
});

test("createLogger() writes up to its level and nothing beyond", () => {
  for (const [level, wanted] of [
    ["error", ["error"]],
    ["warn", ["error", "warn"]],
    ["info", ["error", "warn", "info"]],
    ["debug", ["error", "warn", "info", "debug"]],
  ] as const) {
    const { log, parsed } = capture(level);
    for (const each of ["error", "warn", "info", "debug"] as const) log.with({})[each]("said");
    assert.deepEqual(
      parsed().map((line) => line["level"]),
      wanted,
    );
  }
  silentLogger.debug("nothing");
});

test("createLogger() spells errors out, with code, causes and companions", () => {
  const { log, parsed } = capture("error");
  const root = Object.assign(new Error("no such file"), { code: "ENOENT" });
  log.error("failed", { cause: new AggregateError([new TypeError("inner")], "several", { cause: root }) });
  const { cause } = parsed()[0] as { cause: Record<string, unknown> };
  assert.deepEqual([cause["name"], cause["message"]], ["AggregateError", "several"]);
  assert.deepEqual((cause["cause"] as Record<string, unknown>)["code"], "ENOENT");
  assert.deepEqual((cause["errors"] as Record<string, unknown>[])[0]?.["message"], "inner");
  assert.match(String(cause["stack"]), /log\.test/);
});

test("createLogger() lets no field stand in for the message, and writes what JSON has no word for", () => {
  const { log, parsed } = capture("info");
  log.info("as it is", { message: "another", level: "error", size: 12n, nothing: undefined });
  const [line] = parsed();
  assert.deepEqual([line?.["message"], line?.["level"], line?.["size"]], ["as it is", "info", "12"]);
});
