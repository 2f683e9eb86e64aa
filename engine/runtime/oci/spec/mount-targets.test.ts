import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { hasCode } from "../../../errors.ts";
import { containerConfig } from "../../runtime.conformance.ts";
import type { Mount } from "../../runtime.ts";
import { checkMountTargets } from "./mount-targets.ts";
import { ociConfig } from "./oci-config.ts";

interface Case {
  readonly does: string;
  /** Links of the image: where, and to what. */
  readonly links?: Readonly<Record<string, string>>;
  /** Files of the image. */
  readonly files?: readonly string[];
  /** Mounts: where, and links in what is mounted there. */
  readonly mounts?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly workingDir?: string;
  readonly refused?: RegExp;
}

const cases: Case[] = [
  { does: "takes an image without any folders" },
  ...["/dev", "/proc", "/sys"].map((path) => ({
    does: `refuses an image whose ${path} is a link`,
    links: { [path]: "/tmp" },
    refused: new RegExp(`^Cannot create container "main": ${path} of its image is a symbolic link; it must be a folder, or missing$`),
  })),
  {
    does: "refuses an image whose /dev is a link to a folder of its own",
    links: { "/dev": "devices" },
    refused: /\/dev of its image is a symb/,
  },
  { does: "refuses an image whose /dev is a file", files: ["/dev"], refused: /\/dev of its image is no folder/ },
  { does: "takes links below /dev, which the new /dev hides", links: { "/dev/pts": "/etc", "/dev/shm": "/", "/dev/mqueue": "loop" } },
  { does: "takes a mount below a link, as images have them", links: { "/var/run": "/run" }, mounts: { "/var/run/secrets/a": {} } },
  { does: "takes a mount on a link into the pod's /dev/shm", links: { "/run/shm": "/dev/shm" }, mounts: { "/run/shm": {} } },
  { does: "takes files on links", links: { "/etc/hosts": "../run/hosts" }, mounts: { "/etc/hosts": {} } },
  { does: "takes a mount that is named so", mounts: { "/dev": {}, "/sys": {}, "/a/../sys/fs/bpf": {} } },
  { does: "refuses a mount over the root", mounts: { "/": {} }, refused: /a mount over \/ would hide it all/ },
  {
    does: "refuses a mount that leads over the root",
    links: { "/data": "/var/.." },
    mounts: { "/data": {} },
    refused: /\/data leads over \//,
  },
  {
    does: "refuses a mount that leads over /dev",
    links: { "/a": "/", "/data": "a/dev" },
    mounts: { "/data": {} },
    refused: /its mount \/data leads to \/dev by a symbolic link/,
  },
  {
    does: "refuses a mount that leads into /proc",
    links: { "/etc": "/proc/sys" },
    mounts: { "/etc/x": {} },
    refused: /leads to \/proc\/sys\/x/,
  },
  {
    does: "refuses a mount that leads into /sys",
    links: { "/etc": "/sys" },
    mounts: { "/etc/hosts": {} },
    refused: /leads to \/sys\/hosts/,
  },
  {
    does: "refuses a mount that leads over the root by a link in another mount",
    mounts: { "/data": { nested: "../.." }, "/data/nested": {} },
    refused: /\/data\/nested leads over \//,
  },
  {
    does: "looks at what is mounted, not at what lies below it",
    links: { "/data/nested": "/" },
    mounts: { "/data": {}, "/data/nested": {} },
  },
  { does: "refuses links without end", links: { "/loop": "loop" }, mounts: { "/loop/x": {} }, refused: /\/loop\/x cannot be followed/ },
  { does: "takes a working directory on a link", links: { "/srv": "/run/srv" }, workingDir: "/srv" },
  {
    does: "refuses a working directory in /proc",
    workingDir: "/proc/self/fd/7",
    refused: /working directory \/proc\/self\/fd\/7 lies in \/proc/,
  },
  { does: "refuses a link to one", links: { "/srv": "/proc/self/fd" }, workingDir: "/srv/7", refused: /\/srv\/7 lies in \/proc/ },
];

for (const { does, links = {}, files = [], mounts = {}, workingDir = "/", refused } of cases) {
  test(`checkMountTargets() ${does}`, (t) => {
    const root = folder(t);
    for (const path of files) writeFileSync(join(root, path), "");
    makeLinks(root, links);
    const bound = Object.entries(mounts).map(([containerPath, inside]): Mount => {
      const hostPath = folder(t);
      makeLinks(hostPath, inside);
      return { hostPath, containerPath, readonly: false };
    });
    const container = containerConfig({ rootfsPath: root, logDirectory: "/logs" }, { args: ["true"], workingDir, mounts: bound });
    const spec = ociConfig({
      container,
      user: { uid: 0, gid: 0, additionalGids: [], home: "/" },
      sandbox: { hostname: "web", net: "/s/net", ipc: "/s/ipc", uts: "/s/uts", pid: undefined, shm: "/s/shm" },
      cgroupsPath: "/peapod-ab12/poduid/id",
      machine: { cgroupVersion: 2, lowestOomScoreAdj: 0, recursiveReadonly: true },
      seccomp: undefined,
    });
    if (refused === undefined) return checkMountTargets("main", spec);
    assert.throws(
      () => checkMountTargets("main", spec),
      (error) => {
        assert.ok(hasCode(error, "CONTAINER_CONFIG_INVALID"), String(error));
        assert.match(error.message, refused);
        return true;
      },
    );
  });
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "peapod-targets-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

function makeLinks(root: string, links: Readonly<Record<string, string>>): void {
  for (const [path, target] of Object.entries(links)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    symlinkSync(target, join(root, path));
  }
}
