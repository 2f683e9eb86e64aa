import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "@peapod/kit";

const LINKS_LIMIT = 40; // the kernel's own, MAXSYMLINKS

/** What lies over places of a root file system: the place, and the folder or file on the host that is seen there; undefined: nothing on disk. */
export type Overlays = ReadonlyMap<string, { readonly source: string | undefined }>;

/**
 * The path on the host of `path` in a root file system, with every symlink in it resolved as a process inside would: none leads
 * out. What does not exist stays as it is. Only for a root file system that nothing runs in: it looks first and uses later.
 */
export function resolveInRoot(root: string, path: string): string {
  return join(root, resolveInside(root, path));
}

/** As `resolveInRoot`, but the path as a process inside says it, and with what is mounted over places of the root file system. */
export function resolveInside(root: string, path: string, overlays: Overlays = new Map()): string {
  let todo = path.split("/");
  let inside: string[] = [];
  for (let links = 0; todo.length > 0;) {
    const part = todo.shift();
    if (part === undefined || part === "" || part === ".") continue;
    if (part === "..") {
      inside = inside.slice(0, -1);
      continue;
    }
    const onHost = locate(root, [...inside, part], overlays);
    const target = onHost === undefined ? undefined : readLinkIfLink(onHost);
    if (target === undefined) {
      inside = [...inside, part];
      continue;
    }
    links += 1;
    if (links > LINKS_LIMIT) throw new Error(`Too many symbolic links in ${path}`);
    if (target.startsWith("/")) inside = [];
    todo = [...target.split("/"), ...todo];
  }
  return `/${inside.join("/")}`;
}

/** The text of a plain file in a root file system, "" where there is none; throws where it is larger than `limitBytes` or no file. */
export function readInRoot(root: string, path: string, limitBytes: number): string {
  let fd: number;
  try {
    fd = openSync(resolveInRoot(root, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ENOTDIR")) return "";
    throw cause;
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new Error(`${path} is no plain file`);
    if (stats.size > limitBytes) throw new Error(`${path} has ${stats.size} bytes, more than ${limitBytes}`);
    const buffer = Buffer.alloc(stats.size);
    const size = readSync(fd, buffer, 0, buffer.length, 0);
    return buffer.toString("utf8", 0, size);
  } finally {
    closeSync(fd);
  }
}

/** Where on the host these parts are to be found; undefined where something is mounted right there, or nothing on disk is seen. */
function locate(root: string, inside: readonly string[], overlays: Overlays): string | undefined {
  for (let count = inside.length; count > 0; count -= 1) {
    const overlay = overlays.get(`/${inside.slice(0, count).join("/")}`);
    if (overlay === undefined) continue;
    return overlay.source === undefined || count === inside.length ? undefined : join(overlay.source, ...inside.slice(count));
  }
  return join(root, ...inside);
}

function readLinkIfLink(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ENOTDIR")) return undefined;
    throw cause;
  }
}
