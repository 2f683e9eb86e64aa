import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { hasCode } from "../../../errors.ts";
import { resolveInRoot } from "./rootfs-path.ts";
import { resolveUser } from "./rootfs-user.ts";

const passwd =
  "root:x:0:0:root:/root:/bin/sh\n# a comment\nweb:x:1000:1001::/home/web:/bin/sh\n1234:x:7:8::/named:/bin/sh\nbad:x:99999999999:1::/:\n";
const group = "root:x:0:\nweb:x:1001:\nlogs:x:2000:web,other\nmore:x:2001:other,web\n";

const cases: { user: string; want: object }[] = [
  { user: "", want: { uid: 0, gid: 0, additionalGids: [0], home: "/root" } },
  { user: "web", want: { uid: 1000, gid: 1001, additionalGids: [1001, 2000, 2001], home: "/home/web" } },
  { user: "1000", want: { uid: 1000, gid: 1001, additionalGids: [1001, 2000, 2001], home: "/home/web" } },
  { user: "web:logs", want: { uid: 1000, gid: 2000, additionalGids: [2000, 2001], home: "/home/web" } },
  { user: "4242", want: { uid: 4242, gid: 0, additionalGids: [0], home: "/" } },
  { user: "4242:4243", want: { uid: 4242, gid: 4243, additionalGids: [4243], home: "/" } },
  { user: "1234", want: { uid: 7, gid: 8, additionalGids: [8], home: "/named" } },
];

for (const { user, want } of cases) {
  test(`resolveUser() finds ${JSON.stringify(user)}`, (t) => assert.deepEqual(resolveUser(aRoot(t, { passwd, group }), user), want));
}

test("resolveUser() refuses unknown names and numbers that are none", (t) => {
  const root = aRoot(t, { passwd, group });
  for (const user of ["nobody", "web:nogroup", "-1", "4294967295", "bad", "1e3", "0x10"]) {
    assert.throws(
      () => resolveUser(root, user),
      (error) => hasCode(error, "CONTAINER_CONFIG_INVALID"),
      user,
    );
  }
});

test("resolveUser() needs no passwd file for numbers", (t) => {
  assert.deepEqual(resolveUser(aRoot(t, {}), "5:6"), { uid: 5, gid: 6, additionalGids: [6], home: "/" });
});

test("resolveUser() refuses a passwd file that is none", (t) => {
  const root = aRoot(t, { group });
  mkdirSync(join(root, "etc/passwd"));
  assert.throws(
    () => resolveUser(root, "0"),
    (error) => hasCode(error, "CONTAINER_CONFIG_INVALID"),
  );
});

test("resolveInRoot() follows links as a process inside would, and never out", (t) => {
  const root = aRoot(t, {});
  for (const [target, name] of [
    ["/etc/real", "absolute"],
    ["../../../../etc/real", "above"],
    ["absolute", "chain"],
    ["loop", "loop"],
    ["/", "top"],
  ] as const) {
    symlinkSync(target, join(root, name));
  }
  const inside = (path: string): string => resolveInRoot(root, path).slice(root.length);
  assert.deepEqual(["/absolute", "above", "chain", "/top/../../etc/./x", "missing/../y"].map(inside), [
    "/etc/real",
    "/etc/real",
    "/etc/real",
    "/etc/x",
    "/y",
  ]);
  assert.throws(() => resolveInRoot(root, "loop/x"), /Too many symbolic links/);
});

function aRoot(t: TestContext, files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), "peapod-root-"));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, "etc"));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(root, "etc", name), content);
  return root;
}
