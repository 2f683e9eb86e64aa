import type { Stats } from "node:fs";
import { chmod, copyFile, lstat, mkdir, readdir, rmdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isErrno, run } from "@peapod/kit";
import { EngineError } from "../../errors.ts";
import { removeTree } from "../../linux/remove-tree.ts";

/**
 * Makes a root file system of unpacked packages, whose maintainer scripts never ran: takes away what mmdebstrap put in for
 * itself and what is only to be read, and adds what programs take for granted: users, /tmp, a shell named `sh`, the
 * certificates of the machine. Nothing else of the machine goes in. Throws IMAGE_INVALID where the packages made a link of a folder in which
 * that would happen: it would happen elsewhere on the machine.
 */
export async function finishAptRootfs(root: string, options: { certificates: string; signal: AbortSignal }): Promise<void> {
  await refuseLinks(root);
  await removeLeftovers(root);
  for (const [path, mode] of folders) {
    await mkdir(join(root, path), { recursive: true });
    await chmod(join(root, path), mode);
  }
  for (const [path, target] of links) await linkIfMissing(join(root, path), target);
  for (const [path, content] of files) await writeIfMissing(join(root, path), content);
  await copyIfMissing(options.certificates, join(root, certificatesPath));
  await addShell(root, options.signal);
}

/** As base-passwd makes them: the ids are the same on every Debian system. */
const users: readonly (readonly [name: string, uid: number, gid: number, home: string])[] = [
  ["daemon", 1, 1, "/usr/sbin"],
  ["bin", 2, 2, "/bin"],
  ["sys", 3, 3, "/dev"],
  ["sync", 4, 65534, "/bin"],
  ["games", 5, 60, "/usr/games"],
  ["man", 6, 12, "/var/cache/man"],
  ["lp", 7, 7, "/var/spool/lpd"],
  ["mail", 8, 8, "/var/mail"],
  ["news", 9, 9, "/var/spool/news"],
  ["uucp", 10, 10, "/var/spool/uucp"],
  ["proxy", 13, 13, "/bin"],
  ["www-data", 33, 33, "/var/www"],
  ["backup", 34, 34, "/var/backups"],
  ["list", 38, 38, "/var/list"],
  ["irc", 39, 39, "/run/ircd"],
  ["_apt", 42, 65534, "/nonexistent"],
  ["nobody", 65534, 65534, "/nonexistent"],
];

const groups =
  "root:0 daemon:1 bin:2 sys:3 adm:4 tty:5 disk:6 lp:7 mail:8 news:9 uucp:10 man:12 proxy:13 kmem:15 dialout:20 fax:21 voice:22 " +
  "cdrom:24 floppy:25 tape:26 sudo:27 audio:29 dip:30 www-data:33 backup:34 operator:37 list:38 irc:39 src:40 shadow:42 utmp:43 " +
  "video:44 sasl:45 plugdev:46 staff:50 games:60 users:100 nogroup:65534";

const passwdFile = [
  "root:x:0:0:root:/root:/bin/sh",
  ...users.map(([name, uid, gid, home]) => `${name}:x:${uid}:${gid}:${name}:${home}:/usr/sbin/nologin`),
];
const groupFile = groups.split(" ").map((entry) => `${entry.replace(":", ":x:")}:`);

const folders: readonly (readonly [path: string, mode: number])[] = [
  [".", 0o755],
  ...["dev", "proc", "sys", "run", "etc", "home", "mnt", "opt", "srv", "var/log", "var/cache", "var/lib"].map(
    (path) => [path, 0o755] as const,
  ),
  ["root", 0o700],
  ["tmp", 0o1777],
  ["var/tmp", 0o1777],
];

const links: readonly (readonly [path: string, target: string])[] = [
  ["var/run", "/run"],
  ["var/lock", "/run/lock"],
  ["etc/mtab", "../proc/self/mounts"],
];

const files: readonly (readonly [path: string, content: string])[] = [
  ["etc/passwd", `${passwdFile.join("\n")}\n`],
  ["etc/group", `${groupFile.join("\n")}\n`],
  [
    "etc/nsswitch.conf",
    "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n",
  ],
];

const certificatesPath = "etc/ssl/certs/ca-certificates.crt";

/** What mmdebstrap put in for itself, and manuals. */
const leftovers = [
  "dev",
  "etc/fstab",
  "etc/hostname",
  "etc/resolv.conf",
  "etc/apt/sources.list",
  "var/lib/dpkg",
  "var/lib/apt/lists",
  "var/cache/apt",
  "var/log/apt",
  "usr/share/man",
  "usr/share/info",
  "usr/share/lintian",
];

/** Folders in which more is removed or made. */
const workedIn = ["etc/apt/sources.list.d", "etc/apt/apt.conf.d", "etc/dpkg/dpkg.cfg.d", "usr/share/doc", "usr/bin", "usr/sbin"];

async function refuseLinks(root: string): Promise<void> {
  const above = [...leftovers, certificatesPath, ...[...links, ...files].map(([path]) => path)].map((path) => dirname(path));
  const all = new Set([...above, ...workedIn, ...folders.map(([path]) => path).filter((path) => path !== "dev")]);
  for (const path of all) {
    for (let folder = path; folder !== "."; folder = dirname(folder)) {
      if ((await statIfThere(join(root, folder)))?.isSymbolicLink() === true)
        throw new EngineError("IMAGE_INVALID", `Cannot finish the root file system of packages: /${folder} is a symbolic link in it`);
    }
  }
}

async function removeLeftovers(root: string): Promise<void> {
  for (const path of leftovers) await removeTree(join(root, path));
  await removeMatching(join(root, "etc/apt/sources.list.d"), /^\d{4}/);
  await removeMatching(join(root, "etc/apt/apt.conf.d"), /mmdebstrap$/);
  await removeMatching(join(root, "etc/dpkg/dpkg.cfg.d"), /mmdebstrap$/);
  // Licences stay: who passes the image on must pass them on. Packages share them by links.
  for (const name of await list(join(root, "usr/share/doc"))) {
    const folder = join(root, "usr/share/doc", name);
    if ((await statIfThere(folder))?.isDirectory() === true) await removeMatching(folder, /^(?!copyright$)/);
  }
  for (const path of ["sources.list.d", "apt.conf.d", "preferences.d", "auth.conf.d", "trusted.gpg.d", "."])
    await removeIfEmpty(join(root, "etc/apt", path));
  for (const path of ["etc/dpkg/dpkg.cfg.d", "etc/dpkg", "var/lib/apt"]) await removeIfEmpty(join(root, path));
}

/**
 * Packages leave `sh` to a maintainer script (dash) or to the user (busybox). dash or bash becomes `sh`; busybox, where it is, every
 * one of its commands that no package brought.
 */
async function addShell(root: string, signal: AbortSignal): Promise<void> {
  for (const shell of ["dash", "bash"]) {
    if (await exists(join(root, "usr/bin", shell))) await linkIfMissing(join(root, "usr/bin/sh"), shell);
  }
  if (!(await exists(join(root, "usr/bin/busybox")))) return;
  const { stdout } = await run("/usr/sbin/chroot", [root, "/usr/bin/busybox", "--list-full"], { signal, env: {} });
  for (const path of stdout.split("\n")) {
    if (/^(?:usr\/)?s?bin\/[\w.[+-]+$/.test(path)) await linkIfMissing(join(root, path), "/usr/bin/busybox");
  }
}

async function writeIfMissing(path: string, content: string): Promise<void> {
  if (!(await exists(path))) await writeFile(path, content, { mode: 0o644 });
}

async function linkIfMissing(path: string, target: string): Promise<void> {
  if (!(await exists(path))) await symlink(target, path);
}

async function copyIfMissing(from: string, to: string): Promise<void> {
  if (await exists(to)) return;
  await mkdir(dirname(to), { recursive: true });
  try {
    await copyFile(from, to);
    await chmod(to, 0o644);
  } catch (cause) {
    if (!isErrno(cause, "ENOENT")) throw cause; // a machine without certificates has none to give
  }
}

async function exists(path: string): Promise<boolean> {
  return (await statIfThere(path)) !== undefined;
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ENOTDIR")) return undefined;
    throw cause;
  }
}

async function removeMatching(folder: string, pattern: RegExp): Promise<void> {
  for (const name of await list(folder)) {
    if (pattern.test(name)) await removeTree(join(folder, name));
  }
}

async function list(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ENOTDIR")) return [];
    throw cause;
  }
}

async function removeIfEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch (cause) {
    if (!isErrno(cause, "ENOENT", "ENOTDIR", "ENOTEMPTY")) throw cause;
  }
}
