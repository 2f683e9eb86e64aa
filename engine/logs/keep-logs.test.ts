import assert from "node:assert/strict";
import { appendFileSync, linkSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { createLogger, eventually, systemClock } from "@peapod/kit";
import { compressLog } from "./compress-log.ts";
import { KeptLog, keepLogs } from "./keep-logs.ts";
import { heldPath, listRotated, removeLog, rotatedPath } from "./log-files.ts";

const limits = { maxSizeBytes: 100, maxFiles: 5 };
const never = AbortSignal.any([]);

/** A log as conmon writes it: at the limit a new file comes in the place of the old. */
class Writer {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    writeFileSync(path, "");
  }

  write(text: string): void {
    if (statSync(this.path).size + text.length > limits.maxSizeBytes) this.#begin();
    appendFileSync(this.path, text);
  }

  #begin(): void {
    writeFileSync(`${this.path}.tmp`, "");
    renameSync(`${this.path}.tmp`, this.path);
  }
}

test("KeptLog keeps what fits, in order, and never more than its limit, looked at after every write", async (t) => {
  const { path, files, sizeBytes } = await aLog(t);
  const [writer, kept] = [new Writer(path), new KeptLog(path, limits)];
  const written: string[] = [];
  for (let index = 0; index < 100; index += 1) {
    written.push(`${String(index).padStart(24, "-")}\n`);
    writer.write(written.at(-1) ?? "");
    await kept.look(index);
    assert.ok(sizeBytes() <= limits.maxSizeBytes * limits.maxFiles, `after ${index}: ${sizeBytes()}`);
  }
  const all = (await listRotated(path)).map((file) => readFileSync(file.path, "utf8")).join("") + readFileSync(path, "utf8");
  assert.equal(all, written.slice(-16).join("")); // three that were put aside, and the one that is written
  assert.equal(files().length, 5);
});

test("KeptLog holds the bound however many files are filled between two looks", async (t) => {
  const { path, sizeBytes } = await aLog(t);
  const [writer, kept] = [new Writer(path), new KeptLog(path, limits)];
  for (let look = 0; look < 30; look += 1) {
    for (let index = 0; index < 1 + ((look * 7) % 23); index += 1) writer.write("x".repeat(50));
    assert.ok(sizeBytes() <= limits.maxSizeBytes * limits.maxFiles, `before look ${look}: ${sizeBytes()}`);
    await kept.look(look);
    assert.ok(sizeBytes() <= limits.maxSizeBytes * limits.maxFiles, `after look ${look}: ${sizeBytes()}`);
  }
});

test("a KeptLog goes on from whatever a killed one left", async (t) => {
  const left: Record<string, (writer: Writer) => void> = {
    "nothing held": () => {},
    "the file that is written, held": ({ path }) => linkSync(path, heldPath(path)),
    "conmon went on, and nobody looked": (writer) => {
      linkSync(writer.path, heldPath(writer.path));
      writer.write("y".repeat(99));
    },
    "put aside, the new one not held yet": (writer) => {
      linkSync(writer.path, heldPath(writer.path));
      renameSync(heldPath(writer.path), rotatedPath(writer.path, 1_000));
      writer.write("y".repeat(99));
    },
  };
  for (const [name, leave] of Object.entries(left)) {
    const { path } = await aLog(t);
    const writer = new Writer(path);
    writer.write("first\n");
    leave(writer);
    await new KeptLog(path, limits).look(0);
    assert.equal(statSync(heldPath(path)).ino, statSync(path).ino, name);
    const all = (await listRotated(path)).map((file) => readFileSync(file.path, "utf8")).join("") + readFileSync(path, "utf8");
    assert.ok(all.startsWith("first\n"), name);
  }
});

test("a KeptLog cuts off a log whose writer knows no limit", async (t) => {
  const { path } = await aLog(t);
  writeFileSync(path, "x".repeat(201));
  await new KeptLog(path, limits).look(0);
  assert.equal(statSync(path).size, 0);
});

test("KeptLog names files in their order, whatever the clock did", async (t) => {
  const { path } = await aLog(t);
  const [writer, kept] = [new Writer(path), new KeptLog(path, limits)];
  const later = rotatedPath(path, Date.now() + 3_600_000);
  writer.write("first\n");
  await kept.look(0);
  writeFileSync(later, "of an hour ahead");
  writer.write("y".repeat(99));
  await kept.look(1);
  assert.deepEqual(
    (await listRotated(path)).map((file) => readFileSync(file.path, "utf8")),
    ["of an hour ahead", "first\n"],
  );
});

test("compressLog() leaves the newest plain, keeps the order, and ends what a killed one began", async (t) => {
  const { path, files } = await aLog(t);
  for (const index of [1, 2, 3, 4]) writeFileSync(rotatedPath(path, index * 1_000), `${index}`.repeat(100));
  writeFileSync(`${rotatedPath(path, 1_000)}.tmp`, "half");
  writeFileSync(`${rotatedPath(path, 2_000)}.gz`, "whole, but the plain one is there still");
  await compressLog(path, never);
  const name = (timeMs: number): string => basename(rotatedPath(path, timeMs));
  assert.deepEqual(files(), [`${name(1_000)}.gz`, `${name(2_000)}.gz`, `${name(3_000)}.gz`, name(4_000)]);
  assert.equal(gunzipSync(readFileSync(`${rotatedPath(path, 1_000)}.gz`)).toString(), "1".repeat(100));
});

test("compressLog() stops with its signal, and brings back nothing that was dropped meanwhile", async (t) => {
  const { path, files } = await aLog(t);
  for (const index of [1, 2]) writeFileSync(rotatedPath(path, index * 1_000), `${index}`.repeat(100));
  await compressLog(path, AbortSignal.abort());
  assert.equal(files().length, 2);
  const large = rotatedPath(path, 1_000);
  writeFileSync(large, Buffer.alloc(20_000_000, "abc"));
  const [stop, before] = [new AbortController(), files()];
  const compressing = compressLog(path, stop.signal);
  await eventually(() => files().some((file) => file.endsWith(".tmp")), { withinMs: 5_000, everyMs: 1 });
  stop.abort();
  await compressing;
  assert.deepEqual(files(), before);
  const again = compressLog(path, never);
  await eventually(() => files().some((file) => file.endsWith(".tmp")), { withinMs: 5_000, everyMs: 1 });
  await rm(large);
  await again;
  assert.deepEqual(files(), [basename(rotatedPath(path, 2_000))]);
});

test("keepLogs() goes on with the next log when one fails, says so once, and ends with its signal", async (t) => {
  const [bad, good] = [await aLog(t), await aLog(t)];
  const writer = new Writer(good.path);
  writeFileSync(bad.path, "a file where a folder should be");
  const lines: string[] = [];
  const log = createLogger({ level: "warn", write: (line) => lines.push(line) });
  const stop = new AbortController();
  const clock = { ...systemClock, sleep: async (_ms: number, signal: AbortSignal) => systemClock.sleep(1, signal) };
  const list = async (): Promise<string[]> => [join(bad.path, "no-folder"), good.path];
  const keeping = keepLogs({ limits, list, clock, log }, stop.signal);
  for (let index = 0; index < 12; index += 1) {
    writer.write("x".repeat(99));
    await eventually(() => statSync(heldPath(good.path), { throwIfNoEntry: false })?.ino === statSync(good.path).ino, { withinMs: 5_000 });
  }
  stop.abort();
  await keeping;
  assert.equal((await listRotated(good.path)).length, 3);
  assert.equal(lines.length, 1);
});

test("removeLog() removes all files of a start, and no other's", async (t) => {
  const { path, files } = await aLog(t);
  for (const name of [
    "0.log",
    "0.log.held",
    "0.log.19700101-000001.000",
    "0.log.19700101-000000.000.gz",
    "0.log.tmp",
    "10.log",
    "1.log.held",
  ])
    writeFileSync(join(dirname(path), name), "");
  await removeLog(path);
  assert.deepEqual(files(), ["1.log.held", "10.log"]);
  await removeLog(join(path, "gone/0.log"));
});

async function aLog(t: TestContext): Promise<{ path: string; files: () => string[]; sizeBytes: () => number }> {
  const directory = await mkdtemp(join(tmpdir(), "peapod-logs-"));
  t.after(async () => rm(directory, { recursive: true }));
  const files = (): string[] => readdirSync(directory).sort();
  /** Each file once, whatever names it has. */
  const sizeBytes = (): number => {
    const sizes = new Map(files().map((name) => [statSync(join(directory, name)).ino, statSync(join(directory, name)).size]));
    return [...sizes.values()].reduce((sum, size) => sum + size, 0);
  };
  return { path: join(directory, "0.log"), files, sizeBytes };
}
