import { randomBytes } from "node:crypto";
import { closeSync, ftruncateSync, readdirSync, readFileSync, statfsSync, writeSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  isDiskClosed,
  isErrno,
  makePrivateFolder,
  messageOf,
  readTextIfPresent,
  removeTemporaries,
  type Scope,
  writeFileAtomic,
} from "@peapod/kit";
import { EngineError } from "./errors.ts";
import { lockFile, mount, MS, unmount } from "./linux/libc.ts";
import { openLockFile, refuseForeignFolder } from "./linux/lock-file.ts";

const LOCK = "engine.lock";

/** An engine's two directories, held by this process alone. */
export interface EngineDirs {
  /** Eight hexadecimal digits, random, kept in the state directory: what every name on the machine is made of. */
  readonly engineId: string;
}

/**
 * Makes the state and run directories, for root alone, and takes the state directory for this process until the scope closes.
 * Throws STATE_DIR_BUSY, naming the process, when another engine has it, and DIRECTORY_UNUSABLE where they cannot be for root alone or in memory.
 */
export async function holdDirs(stateDir: string, runDir: string, scope: Scope): Promise<EngineDirs> {
  for (const dir of [stateDir, runDir]) await prepare(dir);
  await hold(stateDir, scope);
  keepInMemory(runDir, scope);
  await hold(runDir, scope);
  await clearUp(stateDir, runDir);
  return { engineId: await readEngineId(stateDir) };
}

/** Removes files that an engine before was killed over, half written, from both directories and the folders of the first; what stays harms nobody. */
async function clearUp(stateDir: string, runDir: string): Promise<void> {
  const folders = (await readdir(stateDir, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  for (const folder of [stateDir, runDir, ...folders.map(({ name }) => join(stateDir, name))]) {
    try {
      await removeTemporaries(folder);
    } catch (cause) {
      if (!isErrno(cause, "EROFS", "EIO", "EPERM", "EACCES")) throw cause;
    }
  }
}

/** What others could write to may hold links that lead the engine elsewhere: it is not taken over. */
async function prepare(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  try {
    refuseForeignFolder(dir);
  } catch (cause) {
    throw new EngineError(
      "DIRECTORY_UNUSABLE",
      `Cannot keep the engine's files in ${dir}: ${messageOf(cause)}. Give it a folder of its own`,
    );
  }
  await makePrivateFolder(dir);
}

const TMPFS_MAGIC = 0x01021994; // linux/magic.h
const MOUNT_SOURCE = "peapod-run";

/**
 * What runs is described in the run directory, with its environment, secrets in it too: where the directory is not in memory already (/run
 * mostly is), a tmpfs is mounted on it, but not over anything that is in it. It goes when the scope closes and nothing of a pod is left in it.
 */
function keepInMemory(runDir: string, scope: Scope): void {
  if (statfsSync(runDir).type !== TMPFS_MAGIC) {
    const present = readdirSync(runDir);
    if (present.length > 0)
      throw new EngineError(
        "DIRECTORY_UNUSABLE",
        `Cannot keep the run directory ${runDir} in memory: it is on a disk, and not empty (${present.slice(0, 3).join(", ")}). ` +
          "Empty it, or give the engine another one with --run-dir, such as a folder in /run",
      );
    mount(runDir, { source: MOUNT_SOURCE, type: "tmpfs", flags: MS.NOSUID | MS.NODEV, data: "mode=0700" });
  }
  scope.defer(() => {
    if (readMountSource(runDir) === MOUNT_SOURCE && !holdsFiles(runDir)) unmount(runDir);
  });
}

/** Who mounted a directory; undefined where it is no mount point. The last one mounted there counts. */
function readMountSource(path: string): string | undefined {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const line = lines.findLast((one) => one.split(" ")[4] === path);
  return line?.split(" - ")[1]?.split(" ")[1];
}

/** Whether there is more than the engine's own lock and empty directories: each part of the engine removes its own when nothing is in it. */
function holdsFiles(dir: string): boolean {
  const entries = readdirSync(dir, { withFileTypes: true }).filter(({ name }) => name !== LOCK);
  return entries.some((entry) => !entry.isDirectory() || readdirSync(join(dir, entry.name)).length > 0);
}

async function hold(dir: string, scope: Scope): Promise<void> {
  const path = join(dir, LOCK);
  const fd = openLockFile(path);
  scope.defer(() => closeSync(fd));
  if (!lockFile(fd)) {
    const holder = (await readFile(path, "utf8")).trim();
    const who = holder === "" ? "Another engine" : `Another engine (process ${holder})`;
    throw new EngineError(
      "STATE_DIR_BUSY",
      `${who} already uses ${dir}: stop it with peapod stop, or give this one directories of its own with --state-dir and --run-dir`,
    );
  }
  nameHolder(fd);
}

/** Writes over what is there, which needs no room. That a full or read-only disk does not take it costs only a name in a message. */
function nameHolder(fd: number): void {
  try {
    ftruncateSync(fd, writeSync(fd, `${process.pid}\n`, 0));
  } catch (cause) {
    if (!isDiskClosed(cause) && !isErrno(cause, "EBADF")) throw cause;
  }
}

async function readEngineId(stateDir: string): Promise<string> {
  const path = join(stateDir, "engine-id");
  const known = (await readTextIfPresent(path))?.trim();
  if (known !== undefined && /^[0-9a-f]{8}$/.test(known)) return known;
  const engineId = randomBytes(4).toString("hex");
  await writeFileAtomic(path, `${engineId}\n`, { sync: true });
  return engineId;
}
