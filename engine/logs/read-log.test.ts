import assert from "node:assert/strict";
import { appendFile, link, mkdtemp, readdir, readlink, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { gzipSync } from "node:zlib";
import { eventually } from "@peapod/kit";
import { hasCode } from "../errors.ts";
import { compressLog } from "./compress-log.ts";
import { KeptLog } from "./keep-logs.ts";
import { heldPath, rotatedPath } from "./log-files.ts";
import { type ReadLogOptions, readLog } from "./read-log.ts";

const base = { follow: false, timestamps: false };

test("readLog() throws LOG_NOT_FOUND where there is no log", async (t) => {
  const path = await logPath(t);
  await assert.rejects(collect({ ...base, path }), (error) => hasCode(error, "LOG_NOT_FOUND"));
});

test("readLog() gives the last lines, however many blocks they fill", async (t) => {
  const path = await logPath(t);
  const lines = Array.from({ length: 9_000 }, (_, index) => `line ${index} ${"x".repeat(index % 97)}`);
  await writeFile(
    path,
    lines.map((text, index) => (index % 3 === 0 ? `${cri("P", text.slice(0, 3))}${cri("F", text.slice(3))}` : cri("F", text))).join(""),
  );
  for (const tailLines of [0, 1, 2, 3, 500, 4_000, 8_999, 9_000, 10_000]) {
    const want = lines.slice(Math.max(0, lines.length - tailLines)).map((text) => `${text}\n`);
    assert.equal(await collect({ ...base, path, tailLines }), want.join(""));
  }
});

test("readLog() counts an open line and only the wanted stream into the tail", async (t) => {
  const path = await logPath(t);
  await writeFile(path, `${cri("F", "a")}${cri("F", "b")}${cri("P", "open")}`);
  assert.equal(await collect({ ...base, path, tailLines: 2 }), "b\nopen");
  await writeFile(path, `${cri("F", "a")}${cri("F", "b")}${cri("F", "err", "stderr")}`);
  assert.equal(await collect({ ...base, path, tailLines: 1, stream: "Stdout" }), "b\n");
});

test("readLog() follows what is written, through a rotation, to the container's end", async (t) => {
  const path = await logPath(t);
  await writeFile(path, cri("F", "1"));
  const finished = Promise.withResolvers<void>();
  const shown: string[] = [];
  const reading = collect({ ...base, follow: true, path, finished: finished.promise }, shown);
  await eventually(() => shown.join("") === "1\n", { withinMs: 2_000 });
  const half = cri("F", "2");
  await appendFile(path, half.slice(0, 9));
  await appendFile(path, half.slice(9));
  await eventually(() => shown.join("") === "1\n2\n", { withinMs: 2_000 });
  await rename(path, `${path}.old`);
  await appendFile(`${path}.old`, cri("F", "3"));
  await writeFile(path, cri("F", "4"));
  await eventually(() => shown.join("") === "1\n2\n3\n4\n", { withinMs: 2_000 });
  await appendFile(path, cri("F", "5"));
  finished.resolve();
  assert.equal(await reading, "1\n2\n3\n4\n5\n");
});

test("readLog() ends a follow when its signal is aborted or its limit reached", async (t) => {
  const path = await logPath(t);
  await writeFile(path, cri("F", "one"));
  const stop = new AbortController();
  const shown: string[] = [];
  const reading = collect({ ...base, follow: true, path }, shown, stop.signal);
  await eventually(() => shown.length > 0, { withinMs: 2_000 });
  stop.abort();
  assert.equal(await reading, "one\n");
  assert.equal(await collect({ ...base, follow: true, path, limitBytes: 2 }), "on");
});

test("readLog() reads what was put aside, plain and compressed, and counts the tail through it", async (t) => {
  const path = await logPath(t);
  const lines = Array.from({ length: 80 }, (_, index) => `line ${index}`);
  const part = (from: number, to: number): string =>
    lines
      .slice(from, to)
      .map((text) => cri("F", text))
      .join("");
  await writeFile(`${rotatedPath(path, 1_000)}.gz`, gzipSync(part(0, 20)));
  await writeFile(rotatedPath(path, 2_000), part(20, 40) + cri("P", "line"));
  await writeFile(heldPath(path), cri("F", " 40") + part(41, 60));
  await writeFile(path, part(60, 80));
  const want = (from: number): string =>
    lines
      .map((text) => `${text}\n`)
      .slice(from)
      .join("");
  assert.equal(await collect({ ...base, path }), want(0));
  for (const tailLines of [1, 20, 21, 39, 40, 41, 60, 61, 79, 80, 100])
    assert.equal(await collect({ ...base, path, tailLines }), want(Math.max(0, 80 - tailLines)), `the last ${tailLines}`);
  assert.equal(await collect({ ...base, path, follow: true, finished: Promise.resolve(), tailLines: 50 }), want(30));
});

test("readLog() reads a log once that has two names", async (t) => {
  const path = await logPath(t);
  await writeFile(path, cri("F", "once"));
  await link(path, heldPath(path));
  assert.equal(await collect({ ...base, path }), "once\n");
});

test("readLog() follows through files that are filled, put aside and compressed faster than it reads", async (t) => {
  const path = await logPath(t);
  await writeFile(path, "");
  const finished = Promise.withResolvers<void>();
  const kept = new KeptLog(path, { maxSizeBytes: 1_000, maxFiles: 1_000 });
  await kept.look(0);
  const reading = collect({ ...base, follow: true, path, finished: finished.promise });
  const lines = Array.from({ length: 400 }, (_, index) => `line ${index}`);
  for (const [index, text] of lines.entries()) {
    if (index % 7 === 0) {
      await writeFile(`${path}.tmp`, "");
      await rename(`${path}.tmp`, path);
      await kept.look(index);
      if (index % 3 === 0) await compressLog(path, AbortSignal.any([]));
    }
    await appendFile(path, cri("F", text));
  }
  finished.resolve();
  assert.equal(await reading, lines.map((text) => `${text}\n`).join(""));
});

test("readLog() ends where the log ended when it was opened, however fast it grows", async (t) => {
  const path = await logPath(t);
  await writeFile(path, cri("F", "x".repeat(50)).repeat(10));
  let shown = 0;
  for await (const chunk of readLog({ ...base, path, tailLines: 3 }, AbortSignal.any([]))) {
    shown += chunk.length;
    await appendFile(path, cri("F", "x".repeat(50)).repeat(10)); // faster than it is read
    assert.ok(shown < 10_000, "it goes on");
  }
  assert.equal(shown, 3 * 51);
});

test("readLog() lets go of the files when its signal is aborted, though nobody reads on", async (t) => {
  const path = await logPath(t);
  await writeFile(path, cri("F", "x".repeat(50)).repeat(10_000));
  const stop = new AbortController();
  const reading = readLog({ ...base, path }, stop.signal);
  await reading.next();
  const isOpen = async (): Promise<boolean> => {
    const links = await Promise.all((await readdir("/proc/self/fd")).map(async (fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")));
    return links.includes(path);
  };
  assert.equal(await isOpen(), true);
  stop.abort();
  await eventually(async () => assert.equal(await isOpen(), false), { withinMs: 2_000 });
  assert.equal((await reading.next()).done, true);
});

async function logPath(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "peapod-logs-"));
  t.after(async () => await rm(directory, { recursive: true }));
  return join(directory, "0.log");
}

function cri(tag: "F" | "P", text: string, stream = "stdout"): string {
  return `2026-01-02T03:04:05.123456789Z ${stream} ${tag} ${text}\n`;
}

async function collect(options: ReadLogOptions, into: string[] = [], signal = AbortSignal.any([])): Promise<string> {
  for await (const chunk of readLog(options, signal)) into.push(Buffer.from(chunk).toString("utf8"));
  return into.join("");
}
