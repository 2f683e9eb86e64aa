import { lastingRoles, type Pod, podContainers, type VolumeMount } from "@peapod/api";

/**
 * The folders of a volume that other volumes of its pod are mounted on, relative to it. The container cannot make them where the volume is
 * read-only. As upstream (volume/util/nested_volumes.go), of each container's mounts the outermost ones below the volume's own count: what is
 * mounted further in lies in those. A mount of a part of the volume (subPath) shows another folder, and is left alone.
 */
export function nestedMountPoints(pod: Pod, volumeName: string): string[] {
  const found = podContainers(pod.spec, lastingRoles).flatMap(({ container: { volumeMounts = [] } }) => {
    const paths = volumeMounts.map(({ mountPath }) => clean(mountPath)).sort();
    return volumeMounts
      .filter((mount) => mount.name === volumeName && isWhole(mount))
      .flatMap(({ mountPath }) => outermost(clean(mountPath), paths));
  });
  return [...new Set(found)].sort();
}

/** `sorted` has each folder before what is in it. */
function outermost(top: string, sorted: readonly string[]): string[] {
  const found: string[] = [];
  for (const path of sorted) {
    const above = found.some((outer) => path.startsWith(`${outer}/`));
    if (!above && path.startsWith(`${top}/`)) found.push(path);
  }
  return found.map((path) => path.slice(top.length + 1));
}

function isWhole({ subPath = "", subPathExpr = "" }: VolumeMount): boolean {
  return subPath === "" && subPathExpr === "";
}

/** Absolute, without `.`, `..`, doubled or last slashes; "" is the root. */
function clean(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.map((part) => `/${part}`).join("");
}
