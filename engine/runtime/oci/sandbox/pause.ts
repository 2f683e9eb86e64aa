import { spawn } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { abortAfter, readTextIfPresent } from "@peapod/kit";
import { EngineError } from "../../../errors.ts";
import { mount, MS } from "../../../linux/libc.ts";
import { maskedPaths, readonlyPaths } from "../spec/container-defaults.ts";
import { bundleFiles } from "../monitor/conmon.ts";
import { makePrivateDirectory, readRecord, recordFiles, writeRecord } from "../container/container-record.ts";
import type { SandboxPaths } from "../spec/oci-config.ts";
import type { OciSpec } from "../spec/oci-spec.ts";
import { identifyProcess, isRunning, type ProcessIdentity } from "../machine/process-identity.ts";
import { cleanRuntimeError, runRuntime } from "../machine/runtime-command.ts";
import type { RuntimeContext } from "../runtime-context.ts";

/** Where a pause process is made. */
export interface PauseOptions {
  /** The sandbox's id, also the pause container's. */
  readonly id: string;
  readonly directory: string;
  readonly paths: SandboxPaths;
  readonly cgroupsPath: string;
}

const PROGRAM = "pause";

/**
 * Starts PID 1 of a pod that shares its process namespace: `catatonit -P`, which sleeps and reaps. It has a root file system
 * with nothing but itself, read-only, and no capabilities. Its namespace is pinned as the file `paths.pid`.
 */
export async function startPause(context: RuntimeContext, options: PauseOptions, signal: AbortSignal): Promise<ProcessIdentity> {
  preparePauseRoot(context);
  const bundle = join(options.directory, "pause");
  makePrivateDirectory(bundle);
  writeRecord(bundle, bundleFiles.config, pauseConfig(context, options));
  await runDetached(context, options.id, bundle, signal);
  const pid = Number(readFileSync(join(bundle, bundleFiles.pid), "utf8"));
  const identity = identifyProcess(pid);
  if (identity === undefined || options.paths.pid === undefined)
    throw new EngineError("RUNTIME_FAILED", "Cannot start the pause process: it ended at once");
  writeRecord(bundle, recordFiles.processes, identity);
  writeRecord(join(options.directory, "ns"), "pid", "");
  mount(options.paths.pid, { source: `/proc/${pid}/ns/pid`, flags: MS.BIND });
  return identity;
}

/** The pause process that an earlier engine started; undefined where it no longer runs. */
export function findPause(directory: string): ProcessIdentity | undefined {
  const identity = readRecord<ProcessIdentity>(join(directory, "pause"), recordFiles.processes);
  return identity !== undefined && isRunning(identity) ? identity : undefined;
}

/** Kills the pause process, and with it everything in its process namespace. Safe to repeat. */
export async function endPause(context: RuntimeContext, cgroupsPath: string): Promise<void> {
  await context.cgroups.killAll(cgroupsPath);
}

/** Removes the OCI runtime's state of an ended pause process. Safe to repeat. */
export async function deletePause(context: RuntimeContext, id: string): Promise<void> {
  if (!existsSync(join(context.runtime.root, id))) return;
  await runRuntime(context.runtime, ["delete", "--force", id], abortAfter(30_000));
}

/** A copy of the program, made whole under another name first: another engine process may have died over it. */
function preparePauseRoot({ catatonitPath, directories }: RuntimeContext): void {
  const program = join(directories.pauseRoot, PROGRAM);
  if (existsSync(program)) return;
  mkdirSync(directories.pauseRoot, { recursive: true, mode: 0o755 });
  for (const name of ["proc", "dev"]) mkdirSync(join(directories.pauseRoot, name), { recursive: true });
  copyFileSync(catatonitPath, `${program}.new`);
  chmodSync(`${program}.new`, 0o755);
  renameSync(`${program}.new`, program);
}

function pauseConfig({ directories, machine, seccomp }: RuntimeContext, { paths, cgroupsPath }: PauseOptions): OciSpec {
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid: 0, gid: 0, additionalGids: [] },
      args: [`/${PROGRAM}`, "-P"],
      env: ["PATH=/"],
      cwd: "/",
      capabilities: { bounding: [], effective: [], permitted: [] },
      noNewPrivileges: true,
      oomScoreAdj: Math.max(-998, machine.lowestOomScoreAdj),
    },
    root: { path: directories.pauseRoot, readonly: true },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "noexec", "mode=755", "size=64k"] },
    ],
    linux: {
      namespaces: [
        { type: "mount" },
        { type: "pid" },
        { type: "network", path: paths.net },
        { type: "ipc", path: paths.ipc },
        { type: "uts", path: paths.uts },
      ],
      cgroupsPath,
      resources: { devices: [{ allow: false, access: "rwm" }] },
      maskedPaths,
      readonlyPaths,
      ...(seccomp === undefined ? {} : { seccomp }),
    },
  };
}

/** The process inherits the runtime's standard files, so these are /dev/null, and the runtime's words are in its log. */
async function runDetached({ runtime }: RuntimeContext, id: string, bundle: string, signal: AbortSignal): Promise<void> {
  const log = join(bundle, bundleFiles.runtimeLog);
  const args = ["--root", runtime.root, "--log", log, "--log-format", "json", "run", "--detach", "--bundle", bundle];
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  const child = spawn(runtime.path, [...args, "--pid-file", join(bundle, bundleFiles.pid), id], {
    stdio: "ignore",
    detached: true,
    signal,
  });
  child.once("error", reject);
  child.once("exit", resolve);
  const exitCode = await promise;
  if (exitCode === 0) return;
  const said = cleanRuntimeError((await readTextIfPresent(log)) ?? "");
  throw new EngineError(
    "RUNTIME_FAILED",
    `Cannot start the pause process: ${said === "" ? `${runtime.path} exited with ${exitCode}` : said}`,
  );
}
