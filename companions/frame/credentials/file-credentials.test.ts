import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readlinkSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { CompanionError } from "../errors.ts";
import { credentialsTest, SecretVolume } from "./credentials.fixture.ts";

const WITHIN = { withinMs: 5000 };

function isMissing(...parts: readonly string[]): (error: unknown) => boolean {
  return (error) =>
    error instanceof CompanionError && error.code === "CREDENTIAL_MISSING" && parts.every((part) => error.message.includes(part));
}

test("secret() gives what the file says at that moment, without one newline at its end", async () => {
  await using t = credentialsTest();
  const cases = { "a\n": "a", "b\r\n": "b", c: "c", "d\n\n": "d\n", " e ": " e ", "f\r": "f\r", "pässwörd\n": "pässwörd" };
  for (const [content, text] of Object.entries(cases))
    assert.equal(t.credentials.secret({ kind: "file", path: t.write("password", content) }).text, text);
});

test("secret() gives another version for another text, and the same for the same", async () => {
  await using t = credentialsTest();
  const source = { kind: "file", path: t.write("password", "one") } as const;
  const first = t.credentials.secret(source);
  t.write("password", "one");
  assert.deepEqual(t.credentials.secret(source), first);
  t.write("password", "two");
  assert.notEqual(t.credentials.secret(source).version, first.version);
});

test("secret() sees a change that neither size nor times of the file show", async () => {
  await using t = credentialsTest();
  const path = t.write("password", "before");
  utimesSync(path, 1_000, 1_000);
  assert.equal(t.credentials.secret({ kind: "file", path }).text, "before");
  const { size } = statSync(path);
  t.write("password", "behind");
  utimesSync(path, 1_000, 1_000);
  assert.equal(statSync(path).size, size);
  assert.equal(t.credentials.secret({ kind: "file", path }).text, "behind");
});

test("secret() sees a Secret that a kubelet changes by swapping the link of the whole volume", async () => {
  await using t = credentialsTest();
  const volume = new SecretVolume(t.folder, { username: "old-user", password: "old" });
  const read = (name: string) => t.credentials.secret({ kind: "file", path: volume.path(name) }).text;
  assert.deepEqual([read("username"), read("password")], ["old-user", "old"]);
  volume.swap({ username: "new-user", password: "new" });
  assert.deepEqual([read("username"), read("password")], ["new-user", "new"]);
  assert.deepEqual(t.problems, []);
});

test("secret() of a plain value is that value", async () => {
  await using t = credentialsTest();
  assert.equal(t.credentials.secret({ kind: "value", value: "app" }).text, "app");
});

/** Each makes the file at the path one that cannot be used. */
const damages: Readonly<Record<string, { readonly says: string; readonly make: (path: string) => void }>> = {
  "is gone": { says: "is missing", make: (path) => rmSync(path, { recursive: true }) },
  "is empty": { says: "is empty", make: (path) => writeFileSync(path, "") },
  "is a newline": { says: "is empty", make: (path) => writeFileSync(path, "\n") },
  "has room for bytes that did not come": { says: "has a NUL byte", make: (path) => writeFileSync(path, "half\0\0\0\0") },
  "ends within a character": { says: "is not UTF-8", make: (path) => writeFileSync(path, Buffer.from("pä").subarray(0, 2)) },
  "is too large": { says: "is over 64 KiB", make: (path) => writeFileSync(path, "x".repeat(64 * 1024 + 1)) },
  "cannot be read": { says: "cannot be read: illegal operation on a directory", make: replaceByFolder },
  "is a pipe": { says: "is empty", make: replaceByPipe },
};

for (const [damage, { says, make }] of Object.entries(damages)) {
  test(`secret() keeps the last good text where the file ${damage}, and says so once`, async () => {
    await using t = credentialsTest();
    const path = t.write("password", "good-one");
    const source = { kind: "file", path } as const;
    const good = t.credentials.secret(source);
    make(path);
    for (let look = 0; look < 3; look += 1) assert.deepEqual(t.credentials.secret(source), good);
    assert.deepEqual(t.problems, [{ path, reason: says }]);
    assert.deepEqual(t.credentials.problems(), [{ path, reason: says }]);
    rmSync(path, { recursive: true, force: true });
    t.write("password", "good-two");
    assert.equal(t.credentials.secret(source).text, "good-two");
    assert.deepEqual(t.credentials.problems(), []);
    const said = t.logged.map((line) => JSON.parse(line) as { level: string; message: string; file: string });
    assert.deepEqual(
      said.map(({ level, file }) => `${level} ${file}`),
      [`warn ${path}`, `info ${path}`],
    );
    assert.doesNotMatch(t.logged.join(""), /good-one|good-two|half/);
  });

  test(`secret() throws CREDENTIAL_MISSING where the file ${damage} and never was good`, async () => {
    await using t = credentialsTest();
    const path = t.write("password", "placeholder");
    make(path);
    const source = { kind: "file", path } as const;
    assert.throws(() => t.credentials.secret(source), isMissing(path, says));
    assert.throws(() => t.credentials.secret(source), isMissing(path, says));
    assert.equal(t.problems.length, 1);
    rmSync(path, { recursive: true, force: true });
    t.write("password", "there");
    assert.equal(t.credentials.secret(source).text, "there");
  });
}

test("secret() leaves no descriptor open, whatever it finds", async () => {
  await using t = credentialsTest();
  const source = { kind: "file", path: t.write("password", "x") } as const;
  for (let look = 0; look < 100; look += 1) t.credentials.secret(source);
  replaceByFolder(source.path);
  for (let look = 0; look < 100; look += 1) t.credentials.secret(source);
  const open = readdirSync("/proc/self/fd").map((fd) => targetOf(`/proc/self/fd/${fd}`));
  assert.deepEqual(
    open.filter((target) => target.startsWith(t.folder)),
    [],
  );
});

test("keepFor() forgets the files that the configuration names no more, and never gives a version twice", async () => {
  await using t = credentialsTest();
  const [kept, dropped] = [t.write("kept", "one"), t.write("dropped", "one")];
  const read = (path: string) => t.credentials.secret({ kind: "file", path });
  const before = [read(kept), read(dropped)];
  t.credentials.keepFor({ listeners: [{ login: { password: { kind: "file", path: kept } } }] });
  rmSync(kept);
  rmSync(dropped);
  assert.deepEqual(read(kept), before[0]);
  assert.throws(() => read(dropped), isMissing(dropped));
  t.write("dropped", "two");
  assert.ok(!before.some(({ version }) => version === read(dropped).version));
});

test("onChange() tells of a secret that was asked for and then changed, once for each change", async () => {
  await using t = credentialsTest();
  const volume = new SecretVolume(t.folder, { password: "one", other: "same" });
  const source = { kind: "file", path: volume.path("password") } as const;
  const versions = [t.credentials.secret(source).version];
  t.credentials.secret({ kind: "file", path: volume.path("other") });
  const told: string[] = [];
  using _subscription = t.credentials.onChange((changed, version) => {
    told.push(changed.kind === "file" ? changed.path : "");
    versions.push(version);
  });
  const running = t.credentials.run(t.scope.signal);
  t.scope.defer(() => running);
  volume.swap({ password: "two", other: "same" });
  await eventually(() => told.length === 1, WITHIN);
  volume.swap({ password: "three", other: "same" });
  assert.equal(t.credentials.secret(source).text, "three"); // whoever asks first does not take the news from the listeners
  await eventually(() => told.length === 2, WITHIN);
  assert.deepEqual(told, [source.path, source.path]);
  assert.equal(new Set(versions).size, 3);
});

test("onChange() says nothing of a file that comes for the first time, since nobody can have used another", async () => {
  await using t = credentialsTest();
  const source = { kind: "file", path: join(t.folder, "password") } as const;
  assert.throws(() => t.credentials.secret(source), isMissing("is missing"));
  const told: number[] = [];
  using _subscription = t.credentials.onChange((_source, version) => void told.push(version));
  const running = t.credentials.run(t.scope.signal);
  t.scope.defer(() => running);
  t.write("password", "one");
  await eventually(() => t.credentials.problems().length === 0, WITHIN);
  t.write("password", "two");
  await eventually(() => told.length > 0, WITHIN);
  assert.deepEqual(told, [t.credentials.secret(source).version]);
});

test("onChange() says nothing of a file that goes missing, and nothing more once it is disposed", async () => {
  await using t = credentialsTest();
  const path = t.write("password", "one");
  t.credentials.secret({ kind: "file", path });
  const told: number[] = [];
  const subscription = t.credentials.onChange((_source, version) => void told.push(version));
  const running = t.credentials.run(t.scope.signal);
  t.scope.defer(() => running);
  rmSync(path);
  await eventually(() => t.problems.length === 1, WITHIN);
  subscription[Symbol.dispose]();
  t.write("password", "two");
  await eventually(() => t.credentials.problems().length === 0, WITHIN);
  assert.deepEqual(told, []);
});

function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return ""; // the descriptor of the listing itself
  }
}

function replaceByFolder(path: string): void {
  rmSync(path);
  mkdirSync(path);
}

function replaceByPipe(path: string): void {
  rmSync(path);
  execFileSync("sh", ["-c", `mkfifo "$0"`, path]);
}
