import assert from "node:assert/strict";
import { test } from "node:test";
import { type LogLine, mergeByTime, parseLine } from "./log-lines.ts";

test("parseLine() cuts the time off, and a terminal's carriage return", () => {
  assert.deepEqual(parseLine("2026-01-02T03:04:05.123456789Z hello"), { time: "2026-01-02T03:04:05.123456789Z", text: "hello" });
  assert.deepEqual(parseLine("2026-01-02T03:04:05.1+01:00   two spaces\r"), { time: "2026-01-02T03:04:05.1+01:00", text: "  two spaces" });
  assert.deepEqual(parseLine("2026-01-02T03:04:05Z"), { time: "2026-01-02T03:04:05Z", text: "" });
  assert.deepEqual(parseLine("no time"), { time: "", text: "no time" });
});

test("mergeByTime() puts the lines of several logs in order, and keeps each log's own", async () => {
  const log = async function* (...times: string[]): AsyncGenerator<LogLine> {
    for (const time of times) yield { time, text: time };
  };
  const merged: string[] = [];
  for await (const { name, time } of mergeByTime([
    { name: "a", lines: log("1", "4", "5") },
    { name: "b", lines: log("2", "3", "6") },
    { name: "c", lines: log() },
  ])) {
    merged.push(`${name}${time}`);
  }
  assert.deepEqual(merged, ["a1", "b2", "b3", "a4", "a5", "b6"]);
});
