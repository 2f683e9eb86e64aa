import { lstatSync, type Stats } from "node:fs";
import { join, posix } from "node:path";
import { EngineError } from "../../../errors.ts";
import type { OciMount, OciSpec } from "./oci-spec.ts";
import { resolveInside } from "./rootfs-path.ts";

interface Mounted {
  readonly type: string;
  /** What of the host's disk is seen there. */
  readonly source: string | undefined;
}

/** File systems of the kernel's own in which a mount says something to the runtime or to the kernel, not to the program. */
const kernelTypes = new Set(["proc", "sysfs"]);

/**
 * Looks where a container's mounts really go before anything is made of it. The OCI runtime works in the new `/dev` by its path on the host
 * (runc 1.1 removes and links files there), so that `/dev` as a link makes it work in the folder of the host that the link names.
 * What an image, or a container that wrote to a volume, can make into a link is therefore followed here, mount by mount: a kernel
 * file system wants a real folder, and no bind mount may come over `/` or, through a link, over such a folder. Links that lead to other
 * places are fine (`/var/run`): the runtime resolves them inside the root. Throws CONTAINER_CONFIG_INVALID.
 */
export function checkMountTargets(name: string, { root: { path: root }, mounts, process: { cwd } }: OciSpec): void {
  const over = new Map<string, Mounted>();
  const refuse = (problem: string, cause?: unknown): EngineError =>
    new EngineError("CONTAINER_CONFIG_INVALID", `Cannot create container "${name}": ${problem}`, { cause });
  const resolve = (path: string): string => {
    try {
      return resolveInside(root, path, over);
    } catch (cause) {
      throw refuse(`${path} cannot be followed in its root file system`, cause);
    }
  };
  for (const mount of mounts) {
    const target = resolve(mount.destination);
    const problem = mount.type === "bind" ? problemOfBind(mount, target, over) : problemOfSystem(root, mount, target, over);
    if (problem !== undefined) throw refuse(problem);
    over.set(target, { type: mount.type, source: mount.type === "bind" ? mount.source : undefined });
  }
  // A working directory there can be a way out, by a descriptor that the runtime left open (CVE-2024-21626).
  if (enclosing(resolve(cwd), over)?.type === "proc") throw refuse(`its working directory ${cwd} lies in /proc`);
}

function problemOfSystem(root: string, { destination }: OciMount, target: string, over: ReadonlyMap<string, Mounted>): string | undefined {
  const path = posix.resolve("/", destination);
  if (target === path && enclosing(path, over) !== undefined) return undefined; // the image's own is not seen
  const stats: Stats | undefined = lstatSync(join(root, path), { throwIfNoEntry: false });
  if (target === path && (stats === undefined || stats.isDirectory())) return undefined;
  const what = stats?.isDirectory() === false && !stats.isSymbolicLink() ? "no folder" : "a symbolic link";
  return `${path} of its image is ${what}; it must be a folder, or missing`;
}

function problemOfBind({ destination }: OciMount, target: string, over: ReadonlyMap<string, Mounted>): string | undefined {
  const path = posix.resolve("/", destination);
  if (target === "/") return path === "/" ? "a mount over / would hide it all" : `its mount ${path} leads over / by a symbolic link`;
  if (target === path) return undefined;
  const around = enclosing(target, over);
  const isOverSystem = over.get(target) !== undefined && over.get(target)?.type !== "bind";
  if (!isOverSystem && (around === undefined || !kernelTypes.has(around.type))) return undefined;
  return `its mount ${path} leads to ${target} by a symbolic link`;
}

/** What is mounted at a place, or nearest above it. */
function enclosing(path: string, over: ReadonlyMap<string, Mounted>): Mounted | undefined {
  for (let place = path; place !== "/"; place = posix.dirname(place)) {
    const mounted = over.get(place);
    if (mounted !== undefined) return mounted;
  }
  return undefined;
}
