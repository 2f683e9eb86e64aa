import assert from "node:assert/strict";
import { test } from "node:test";
import { type LogLine, mergeByTime, parseLine, readLines } from "./log-lines.ts";

test("parseLine() cuts the time off, and leaves the container's bytes as they are", () => {
  const parsed = (line: string): [string, string] => {
    const { time, bytes } = parseLine(Buffer.from(line, "latin1"));
    return [time, bytes.toString("latin1")];
  };
  assert.deepEqual(parsed("2026-01-02T03:04:05.123456789Z hello\n"), ["2026-01-02T03:04:05.123456789Z", "hello\n"]);
  assert.deepEqual(parsed("2026-01-02T03:04:05.1+01:00   a\xff\xfe\r\n"), ["2026-01-02T03:04:05.1+01:00", "  a\xff\xfe\r\n"]);
  assert.deepEqual(parsed("2026-01-02T03:04:05Z"), ["2026-01-02T03:04:05Z", ""]);
  assert.deepEqual(parsed("no time"), ["", "no time"]);
});

test("readLines() gives every byte, wherever the log is cut, and a line longer than any limit with one time", async () => {
  const [time, long] = ["2026-01-02T03:04:05Z", 2.5 * 1024 * 1024];
  const log = Buffer.concat([
    Buffer.from(`${time} a\xff\r\n${time} \n${time} `, "latin1"),
    Buffer.alloc(long, "x"),
    Buffer.from(`\n${time} end`),
  ]);
  const read = async (...chunks: Buffer[]): Promise<LogLine[]> => Array.fromAsync(readLines(ReadableStream.from(chunks)));
  const whole = await read(log);
  assert.deepEqual([...new Set(whole.map((line) => line.time))], [time]);
  assert.equal(Buffer.concat(whole.map(({ bytes }) => bytes)).toString("latin1"), `a\xff\r\n\n${"x".repeat(long)}\nend`);
  for (let cut = 0; cut < 60; cut += 1) assert.deepEqual(await read(log.subarray(0, cut), log.subarray(cut)), whole, `cut at ${cut}`);
});

test("mergeByTime() puts the lines of several logs in order, and keeps each log's own", async () => {
  const log = async function* (...times: string[]): AsyncGenerator<LogLine> {
    for (const time of times) yield { time, bytes: Buffer.from(time) };
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
