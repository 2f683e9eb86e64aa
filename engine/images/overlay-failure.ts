import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { EngineError } from "../errors.ts";

const OVERLAYFS_MAGIC = 0x794c7630;

/** What the machine lacks (MACHINE_LACKS), where a failure to mount an overlay that writes below `folder` says so; else undefined. */
export function explainOverlay(code: string | undefined, folder: string, cause?: unknown): EngineError | undefined {
  if (code === "EINVAL" && statfsSync(dirname(folder)).type === OVERLAYFS_MAGIC) {
    const message = `${dirname(folder)} lies on an overlay file system, which cannot carry another; set PEAPOD_STATE_DIR to a folder on a disk`;
    return new EngineError("MACHINE_LACKS", message, { cause });
  }
  if (code === "ENODEV") return new EngineError("MACHINE_LACKS", "The kernel has no overlayfs; load it: modprobe overlay", { cause });
  return undefined;
}
