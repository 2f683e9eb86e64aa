import { chmodSync, chownSync, mkdirSync, rmdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "@peapod/kit";
import { mount, unmount } from "../linux/libc.ts";

/** The layers that another is unpacked on top of. */
export interface LayersBelow {
  /** Where their short names lie. */
  readonly linksDir: string;
  /** The short names, lowest first. */
  readonly links: readonly string[];
  /** From `linksDir` to the folder of work, without what overlayfs' options would take for their own. */
  readonly workDir: string;
}

/** The file system's own choices would make layers that depend on others: none of these. */
const plainCopies = "index=off,metacopy=off,redirect_dir=off";

/**
 * Mounts an overlay that shows the layers `below`, and that writes what is new into `folder`, an empty one. Gives where it is mounted.
 * The working directory is another after it.
 */
export function mountOnTop(folder: string, below: LayersBelow): string {
  const [merged, scratch] = [`${folder}.merged`, `${folder}.work`];
  for (const path of [merged, scratch]) mkdirSync(path, { mode: 0o700 });
  process.chdir(below.linksDir); // overlayfs takes its options in one page: short names
  const top = below.links.at(-1) ?? "";
  copyRootAttributes(top, folder);
  const name = join(below.workDir, "diff");
  const data = `lowerdir=${below.links.toReversed().join(":")},upperdir=${name},workdir=${name}.work,${plainCopies}`;
  try {
    mount(merged, { source: "overlay", type: "overlay", data: `${data},volatile` });
  } catch (cause) {
    if (!isErrno(cause, "EINVAL")) throw cause;
    mount(merged, { source: "overlay", type: "overlay", data }); // Linux before 5.10 does not know `volatile`
  }
  return merged;
}

/** Takes the overlay away; what was written stays in `folder`. Safe to repeat. */
export function unmountOnTop(folder: string): void {
  while (unmount(`${folder}.merged`, 0));
  try {
    rmdirSync(`${folder}.merged`);
  } catch (cause) {
    if (!isErrno(cause, "ENOENT")) throw cause;
  }
  rmSync(`${folder}.work`, { recursive: true, force: true });
}

/** The root of an overlay shows the upper folder's owner and mode. */
function copyRootAttributes(from: string, to: string): void {
  const { uid, gid, mode } = statSync(from);
  chownSync(to, uid, gid);
  chmodSync(to, mode & 0o7777);
}
