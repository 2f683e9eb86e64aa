import { readFileSync } from "node:fs";
import { mount, MS, unmount } from "../../../linux/libc.ts";

/**
 * Keeps mounts below `path` in this mount namespace: where the file system it lies on is shared, as systemd makes `/`, a pinned namespace
 * would also appear, and live on, in every service's private copy. Binds the directory onto itself and makes that private. Safe to repeat.
 */
export function protectMounts(path: string): void {
  const mounts = parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8"));
  const isMounted = mounts.some(({ mountPoint }) => mountPoint === path);
  if (!isMounted) {
    if (!isOnSharedMount(mounts, path)) return;
    mount(path, { source: path, flags: MS.BIND });
  }
  mount(path, { source: "none", flags: MS.PRIVATE });
}

/** Takes `protectMounts` back; there must be nothing mounted below. Safe to repeat. */
export function unprotectMounts(path: string): void {
  unmount(path);
}

/** A line of mountinfo, as far as it matters here. */
export interface MountLine {
  readonly mountPoint: string;
  readonly isShared: boolean;
}

/** The mounts of a mountinfo text, in their order. */
export function parseMountInfo(text: string): MountLine[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const fields = line.split(" ");
      const mountPoint = (fields[4] ?? "").replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
        String.fromCharCode(Number.parseInt(octal, 8)),
      );
      const optional = fields.slice(6, fields.indexOf("-", 6));
      return { mountPoint, isShared: optional.some((field) => field.startsWith("shared:")) };
    });
}

/** Tells whether what is mounted at `path`, the innermost and last of them, passes mounts on to others. */
export function isOnSharedMount(mounts: readonly MountLine[], path: string): boolean {
  const above = mounts.filter(({ mountPoint }) => mountPoint === "/" || path === mountPoint || path.startsWith(`${mountPoint}/`));
  const innermost = above.reduce((best, next) => (next.mountPoint.length >= best.mountPoint.length ? next : best), {
    mountPoint: "",
    isShared: false,
  });
  return innermost.isShared;
}
