import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { run } from "@peapod/kit";
import { EngineError } from "../../../errors.ts";
import { crunDefect, runtimeCandidates, unifiedMountPoint } from "./choose-runtime.ts";
import { defaultCapabilities, defaultPath } from "../spec/container-defaults.ts";
import type { OciSeccomp } from "../spec/oci-spec.ts";
import { compileSeccomp } from "../spec/seccomp.ts";
import { runtimeDefault } from "../spec/seccomp-profile.ts";

const otherFolders = ["/usr/libexec/podman", "/usr/lib/podman"]; // where some distributions put conmon and catatonit

/** The OCI runtime for this machine: crun where it works, else runc; a crun with a defect only where there is no runc. Throws MACHINE_LACKS. */
export async function chooseRuntime(signal: AbortSignal): Promise<string> {
  const path = findRuntime();
  const runc = findOnPath("runc");
  if (runc === undefined || path === runc) return path;
  const { version } = await readRuntimeVersion(path, signal);
  return crunDefect(version) === undefined ? path : runc;
}

function findRuntime(): string {
  const mounts = readFileSync("/proc/mounts", "utf8");
  const unified = unifiedMountPoint(mounts);
  const unifiedControllers = unified === undefined ? "" : readFileSync(join(unified, "cgroup.controllers"), "utf8");
  const candidates = runtimeCandidates({ mounts, unifiedControllers });
  for (const name of candidates) {
    const path = findOnPath(name);
    if (path !== undefined) return path;
  }
  throw new EngineError(
    "MACHINE_LACKS",
    `Cannot find ${candidates.join(" or ")} in the system's program folders. Install one: apt-get install ${candidates.at(-1)}`,
  );
}

/** A program's path. Throws MACHINE_LACKS with the package to install. */
export function findProgram(name: string, debianPackage: string): string {
  const path = findOnPath(name);
  if (path === undefined)
    throw new EngineError(
      "MACHINE_LACKS",
      `Cannot find ${name} in the system's program folders. Install it: apt-get install ${debianPackage}`,
    );
  return path;
}

function findOnPath(name: string): string | undefined {
  return [...defaultPath.split(":"), ...otherFolders].map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** What an OCI runtime says it is: runc, 1.1.5. */
export async function readRuntimeVersion(path: string, signal: AbortSignal): Promise<{ name: string; version: string }> {
  const { stdout } = await run(path, ["--version"], { signal, timeoutMs: 10_000 });
  const [, name = "oci", version = "0"] = /^(\S+) version (\d+(?:\.\d+)*)/m.exec(stdout) ?? [];
  return { name, version };
}

/** The profile of every container, compiled for this machine. */
export function defaultSeccomp(): OciSeccomp {
  return compileSeccomp(runtimeDefault, { arch: process.arch, capabilities: defaultCapabilities, kernelRelease: release() });
}

/** The lowest oom_score_adj that this process may give: without CAP_SYS_RESOURCE nobody can go below his own. */
export function lowestOomScoreAdj(): number {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0"}`);
  const mayLower = (effective & (1n << 24n)) !== 0n;
  return mayLower ? -1000 : Number(readFileSync("/proc/self/oom_score_adj", "utf8"));
}
