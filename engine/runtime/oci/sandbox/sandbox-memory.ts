import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mountInThread, MS } from "../../../linux/libc.ts";
import { makePrivateDirectory } from "../container/container-record.ts";

/**
 * A sandbox's tmpfs: all that its containers can write without a disk's or a volume's limit lies on it, so that its size bounds them all
 * together. `shm` is their /dev/shm; `files` holds files that they see singly.
 */
export interface SandboxMemory {
  readonly mountPoint: string;
  readonly shm: string;
  readonly files: string;
}

/** Where a sandbox's tmpfs is, below its directory. */
export function sandboxMemory(directory: string): SandboxMemory {
  const mountPoint = join(directory, "memory");
  return { mountPoint, shm: join(mountPoint, "shm"), files: join(mountPoint, "files") };
}

/** Mounts a new sandbox's tmpfs. */
export async function mountMemory({ mountPoint, shm, files }: SandboxMemory, sizeBytes: number): Promise<void> {
  makePrivateDirectory(mountPoint);
  await mountInThread(mountPoint, {
    source: "shm",
    type: "tmpfs",
    flags: MS.NOSUID | MS.NODEV | MS.NOEXEC,
    data: `mode=0700,size=${sizeBytes}`,
  });
  mkdirSync(shm);
  chmodSync(shm, 0o1777);
  makePrivateDirectory(files);
}

/** Makes the file that a container may leave its last words in, whoever its user is. What is in it must not be read back without a bound. */
export function makeTerminationLog(memory: SandboxMemory, containerId: string): void {
  const path = terminationLogPath(memory, containerId);
  writeFileSync(path, "", { flag: "wx" });
  chmodSync(path, 0o666); // whatever the umask took away
}

/** Safe to repeat, and after the sandbox was stopped. */
export function removeTerminationLog(memory: SandboxMemory, containerId: string): void {
  rmSync(terminationLogPath(memory, containerId), { force: true });
}

/** Where the file for a container's last words is on the host. */
export function terminationLogPath({ files }: SandboxMemory, containerId: string): string {
  return join(files, `${containerId}.termination-log`);
}
