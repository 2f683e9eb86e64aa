import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, run } from "@peapod/kit";

/** An engine that has ended, by what its names on the machine are made of. */
export interface EngineTraces {
  readonly engineId: string;
  readonly stateDir: string;
  readonly runDir: string;
}

/** Fails when a process, mount, link, rule, cgroup or file of an engine without pods is still there, naming it. */
export async function assertNothingLeft(traces: EngineTraces): Promise<void> {
  await eventually(async () => assert.deepEqual(await findTraces(traces), []), { withinMs: 5_000, everyMs: 100 });
}

/** Everything of a pod, on the machine, that an engine with these traces has: for a running engine, what its pods hold. */
export async function findTraces(traces: EngineTraces): Promise<string[]> {
  return [...processes(traces), ...mounts(traces), ...cgroups(traces), ...files(traces), ...(await networkOf(traces))];
}

function processes({ engineId, runDir, stateDir }: EngineTraces): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      const commandLine = textOf(`/proc/${pid}/cmdline`).replaceAll("\0", " ");
      const cgroup = textOf(`/proc/${pid}/cgroup`);
      const ours = commandLine.includes(runDir) || commandLine.includes(stateDir) || cgroup.includes(`peapod-${engineId}`);
      return ours ? [`process ${pid}: ${commandLine || textOf(`/proc/${pid}/comm`)}`] : [];
    });
}

function mounts({ runDir, stateDir }: EngineTraces): string[] {
  return textOf("/proc/self/mountinfo")
    .split("\n")
    .filter((line) => line.includes(` ${runDir} `) || line.includes(`${runDir}/`) || line.includes(`${stateDir}/`))
    .map((line) => `mount: ${line}`);
}

function cgroups({ engineId }: EngineTraces): string[] {
  const roots = ["/sys/fs/cgroup", ...readdirSync("/sys/fs/cgroup").map((name) => join("/sys/fs/cgroup", name))];
  return roots
    .map((root) => join(root, `peapod-${engineId}`))
    .filter((path) => existsSync(path))
    .map((path) => `cgroup: ${path}`);
}

/** What may stay: objects, images, certificates, logs of the engine, its lock; nothing of a pod. */
function files({ stateDir, runDir }: EngineTraces): string[] {
  const podFolders = [
    join(stateDir, "pods"),
    join(stateDir, "rootfs"),
    join(stateDir, "logs"),
    join(stateDir, "kept-pods"),
    join(stateDir, "network", "addresses"),
  ];
  const inRun = existsSync(runDir) ? walk(runDir).filter((path) => !/\/(engine\.lock|engine\.json)$/.test(path)) : [];
  return [...podFolders.filter((path) => existsSync(path)).flatMap(walk), ...inRun].map((path) => `file: ${path}`);
}

async function networkOf({ engineId }: EngineTraces): Promise<string[]> {
  const signal = AbortSignal.timeout(10_000);
  const links = await run("ip", ["-o", "link"], { signal });
  const tables = await run("nft", ["list", "tables"], { signal });
  const names = links.stdout.split("\n").map((line) => `link ${line.split(": ")[1]}`); // not its state, which changes
  return [...names, ...tables.stdout.split("\n")].filter((line) => line.includes(engineId)).map((line) => `network: ${line}`);
}

/** The files below a folder; empty folders do no harm. */
function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [path];
  });
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // the process ended meanwhile
  }
}
