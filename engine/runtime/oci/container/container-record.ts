import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "@peapod/kit";
import type { PodMetadata } from "../../runtime.ts";
import type { HeldProcess } from "../monitor/held-process.ts";
import type { ProcessIdentity } from "../machine/process-identity.ts";

/** What the engine must know of a container to adopt it: written before the container is made, never changed. */
export interface ContainerRecord {
  readonly id: string;
  readonly sandboxId: string;
  readonly pod: PodMetadata;
  readonly name: string;
  readonly attempt: number;
  readonly image: string;
  readonly imageId: string;
  readonly specHash: string;
  readonly logPath: string;
  readonly createdAtMs: number;
  /** /proc/sys/kernel/random/boot_id: after a reboot nothing of this is true any more. */
  readonly bootId: string;
  readonly stopSignal: string;
  readonly cgroupPath: string;
}

/** The processes of a created container, written when conmon reported them and before anything may start. */
export interface ContainerProcesses {
  readonly container: HeldProcess;
  /** Undefined where conmon had ended before it could be looked at. */
  readonly monitor?: ProcessIdentity;
}

/** The files of a record, in a container's bundle or a sandbox's directory. */
export const recordFiles = {
  container: "record.json",
  processes: "processes.json",
  /** The moment a container was told to start, milliseconds since the epoch. */
  started: "started.json",
  sandbox: "sandbox.json",
} as const;

/** Writes a file of the record at once and whole: a reader sees the old content or the new. */
export function writeRecord(directory: string, name: string, value: unknown): void {
  const temporary = join(directory, `.${name}`);
  writeFileSync(temporary, JSON.stringify(value), { mode: 0o600 });
  renameSync(temporary, join(directory, name));
}

/** Reads what `writeRecord` wrote; undefined where nothing was. Nobody else writes there, so the type is trusted. */
export function readRecord<T>(directory: string, name: string): T | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, name), "utf8")) as T; // see above
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ENOTDIR") || cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

/** Makes a directory for the engine alone. */
export function makePrivateDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** This boot of this machine. */
export function readBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}
