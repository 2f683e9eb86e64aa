import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readMachineSources, sourcesForSuite } from "./apt-sources.ts";

test("readMachineSources() reads both styles, in apt's order, and nothing else", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "peapod-apt-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  assert.deepEqual(await readMachineSources(folder), []);
  await mkdir(join(folder, "sources.list.d"));
  await writeFile(join(folder, "sources.list"), "# empty\n\n");
  await writeFile(join(folder, "sources.list.d/b.list"), "deb http://b stable main\n");
  await writeFile(join(folder, "sources.list.d/a.sources"), "Types: deb\n");
  await writeFile(join(folder, "sources.list.d/c.list.disabled"), "deb http://c stable main\n");
  assert.deepEqual(
    (await readMachineSources(folder)).map(({ name }) => name),
    ["a.sources", "b.list"],
  );
});

const forTrixie = (name: string, content: string): string[] =>
  sourcesForSuite([{ name, content }], "bookworm", "trixie").map((file) => file.content);

test("sourcesForSuite() changes the suite in one-line sources, and leaves other suites out", () => {
  const content = [
    "# deb http://comment bookworm main",
    "deb http://deb.example/debian bookworm main contrib",
    "deb [arch=amd64 signed-by=/k.gpg] http://sec.example bookworm-security main # own",
    "deb-src http://deb.example/debian bookworm main",
    "deb http://other.example stable main",
    "deb http://other.example bookwormish main",
  ].join("\n");
  assert.deepEqual(forTrixie("sources.list", content), [
    "deb http://deb.example/debian trixie main contrib\ndeb [arch=amd64 signed-by=/k.gpg] http://sec.example trixie-security main # own\n",
  ]);
});

test("sourcesForSuite() changes the suites in deb822 sources, stanza by stanza", () => {
  const content = [
    "# first\nTypes: deb deb-src\nURIs: http://deb.example\nSuites: bookworm bookworm-updates sid\nComponents: main\nSigned-By:\n -----BEGIN\n .\n x",
    "Types: deb\nEnabled: no\nURIs: http://off.example\nSuites: bookworm",
    "Types: deb-src\nURIs: http://src.example\nSuites: bookworm",
    "Types: deb\nURIs: http://other.example\nSuites: stable",
  ].join("\n\n");
  assert.deepEqual(forTrixie("debian.sources", content), [
    "Types: deb deb-src\nURIs: http://deb.example\nSuites: trixie trixie-updates\nComponents: main\nSigned-By:\n -----BEGIN\n .\n x\n",
  ]);
  assert.deepEqual(forTrixie("other.sources", "Types: deb\nURIs: http://x\nSuites: sid\n"), []);
});
