import { closeSync, openSync, writeFileSync } from "node:fs";
import { CLONE, mount, MS, setHostname, setns, unshare } from "./libc.ts";

/** The namespaces of a pod sandbox that are pinned as files. */
export interface PinnedNamespaces {
  readonly net: string;
  readonly ipc: string;
  readonly uts: string;
}

export interface NamespaceSettings {
  readonly hostname: string;
  /** Written in the new namespaces: file under /proc/sys and value. `needed: false` is let go where the kernel has none. */
  readonly sysctls: readonly { readonly path: string; readonly value: string; readonly needed: boolean }[];
}

const kinds = [
  { name: "net", flag: CLONE.NEWNET },
  { name: "ipc", flag: CLONE.NEWIPC },
  { name: "uts", flag: CLONE.NEWUTS },
] as const;

/**
 * Makes network, IPC and UTS namespaces and pins each by a bind mount onto `files`, which are created.
 *
 * The calling thread enters them and comes back before this returns, so nothing else of this program ever runs inside: the
 * block must stay synchronous. A thread that cannot come back would do everything later in a pod's network: then the process aborts.
 * On failure some of the files may be left mounted; the caller unmounts them.
 */
export function pinNamespaces(files: PinnedNamespaces, settings: NamespaceSettings): void {
  const home: { fd: number; flag: number }[] = [];
  try {
    for (const { name, flag } of kinds) home.push({ fd: openSync(`/proc/thread-self/ns/${name}`, "r"), flag });
    for (const { name } of kinds) closeSync(openSync(files[name], "wx", 0o600));
    try {
      unshare(CLONE.NEWNET | CLONE.NEWIPC | CLONE.NEWUTS);
      setHostname(settings.hostname);
      for (const sysctl of settings.sysctls) writeSysctl(sysctl);
      for (const { name } of kinds) mount(files[name], { source: `/proc/thread-self/ns/${name}`, flags: MS.BIND });
    } finally {
      for (const { fd, flag } of home) comeBack(fd, flag);
    }
  } finally {
    for (const { fd } of home) closeSync(fd);
  }
}

function writeSysctl({ path, value, needed }: { path: string; value: string; needed: boolean }): void {
  try {
    writeFileSync(path, value, { flag: "r+" });
  } catch (cause) {
    if (needed) throw new Error(`Cannot write ${JSON.stringify(value)} to ${path}`, { cause });
  }
}

function comeBack(fd: number, flag: number): void {
  try {
    setns(fd, flag);
  } catch (cause) {
    process.stderr.write(`Cannot come back from a new namespace, the process would go on inside it: ${String(cause)}\n`);
    process.abort();
  }
}
