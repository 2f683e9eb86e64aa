import { mkdirSync, openSync, closeSync, chmodSync, statSync, type Stats } from "node:fs";
import { isAbsolute } from "node:path";
import type { HostPathVolumeSource } from "@peapod/api";
import { isErrno, messageOf } from "@peapod/kit";
import { EngineError } from "../errors.ts";

type HostPathType = Exclude<HostPathVolumeSource["type"], "" | undefined>;

/** What each type asks for; upstream's pkg/volume/hostpath says it in these words. */
const checks: Record<HostPathType, { holds: (stats: Stats) => boolean; wanted: string }> = {
  DirectoryOrCreate: { holds: (stats) => stats.isDirectory(), wanted: "a directory" },
  Directory: { holds: (stats) => stats.isDirectory(), wanted: "a directory" },
  FileOrCreate: { holds: (stats) => stats.isFile(), wanted: "a file" },
  File: { holds: (stats) => stats.isFile(), wanted: "a file" },
  Socket: { holds: (stats) => stats.isSocket(), wanted: "a socket file" },
  CharDevice: { holds: (stats) => stats.isCharacterDevice(), wanted: "a character device" },
  BlockDevice: { holds: (stats) => stats.isBlockDevice(), wanted: "a block device" },
};

/**
 * Checks that the path is what its type says and makes it where the type allows. Without a type nothing is checked, and a
 * missing path becomes a directory, as container runtimes do it. Symlinks are followed. Throws VOLUME_FAILED.
 */
export function prepareHostPath(source: HostPathVolumeSource): void {
  const { path, type } = source;
  if (!isAbsolute(path) || path.split("/").includes("..")) {
    throw new EngineError("VOLUME_FAILED", `hostPath ${JSON.stringify(path)} must be absolute and must not contain '..'`);
  }
  let stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) {
    if (type === undefined || type === "" || type === "DirectoryOrCreate") make(path, makeDirectory);
    if (type === "FileOrCreate") make(path, makeFile);
    stats = statSync(path, { throwIfNoEntry: false });
  }
  if (type === undefined || type === "") return;
  const check = checks[type];
  if (stats === undefined || !check.holds(stats)) {
    throw new EngineError("VOLUME_FAILED", `hostPath type check failed: ${path} is not ${check.wanted}`);
  }
}

function make(path: string, maker: (path: string) => void): void {
  try {
    maker(path);
  } catch (cause) {
    if (isErrno(cause, "EEXIST")) return; // somebody was faster; the check afterwards decides
    throw new EngineError("VOLUME_FAILED", `Cannot make the hostPath ${path}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function makeDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o755 });
}

/** Its folder must be there, as upstream wants it. */
function makeFile(path: string): void {
  closeSync(openSync(path, "wx", 0o644));
  chmodSync(path, 0o644); // whatever the umask took away
}
