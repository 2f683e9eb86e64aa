import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { CliError } from "./cli-error.ts";
import { readSources } from "./manifest-source.ts";

async function read(t: TestContext, bytes: Buffer): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "peapod-source-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "pod.yaml");
  await writeFile(path, bytes);
  const [source] = await readSources([path], t.signal);
  return source?.text;
}

test("readSources() reads UTF-8 and both orders of UTF-16", async (t) => {
  const text = "kind: P\u00f6d\r\n";
  const little = Buffer.from(`\ufeff${text}`, "utf16le");
  const big = Buffer.from(little).swap16();
  for (const bytes of [Buffer.from(text), Buffer.from(`\ufeff${text}`), little, big]) assert.equal(await read(t, bytes), text);
});

test("readSources() names the line of what is no text, rather than change it", async (t) => {
  await assert.rejects(read(t, Buffer.from("a: 1\nb: \u00e4\n", "latin1")), (error) => {
    assert.ok(error instanceof CliError);
    assert.match(error.message, /pod\.yaml:2: this is neither UTF-8 nor UTF-16/);
    return true;
  });
});
