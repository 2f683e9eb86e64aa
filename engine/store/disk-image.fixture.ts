import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

const MOUNT_OPTIONS = "loop,errors=remount-ro";

/** A disk of a test's own: ext4 in a file, mounted. Its end unmounts and removes it. */
export interface DiskImage extends Disposable {
  /** Where it is mounted. */
  readonly root: string;
  /** What the disk would hold if the power were cut now: what was not synced is not in it. Mounted too, and removed with its own end. */
  cut(): DiskImage;
  /** Has the file system meet an error: the kernel makes it read-only, under whoever has files open. */
  fail(): void;
  /** Unmounts it, has it mended, and mounts it again. */
  remount(): void;
}

/** Makes a disk of so many MiB. Root's only. */
export function diskImage(sizeMiB: number): DiskImage {
  const folder = mkdtempSync(join(tmpdir(), "peapod-disk-"));
  const file = join(folder, "disk");
  execFileSync("truncate", ["-s", `${sizeMiB}M`, file]);
  execFileSync("mkfs.ext4", ["-q", "-m", "0", file]);
  return mounted(folder, file);
}

function mounted(folder: string, file: string): DiskImage {
  const root = join(folder, "root");
  mkdirSync(root);
  execFileSync("mount", ["-o", MOUNT_OPTIONS, file, root]);
  return {
    root,
    cut: () => {
      const copy = mkdtempSync(join(tmpdir(), "peapod-cut-"));
      execFileSync("cp", ["--sparse=always", file, join(copy, "disk")]);
      return mounted(copy, join(copy, "disk"));
    },
    fail: () => {
      const device = basename(execFileSync("findmnt", ["-n", "-o", "SOURCE", root], { encoding: "utf8" }).trim());
      writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, "1");
    },
    remount: () => {
      execFileSync("umount", [root]);
      // A copy: another mount namespace may hold the failed file system a while longer, and a mount of the same file would show that one.
      execFileSync("cp", ["--sparse=always", file, `${file}.new`]);
      renameSync(`${file}.new`, file);
      spawnSync("e2fsck", ["-fy", file]); // it exits with 1 when it mended something
      execFileSync("mount", ["-o", MOUNT_OPTIONS, file, root]);
    },
    [Symbol.dispose]: () => {
      execFileSync("umount", [root]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
