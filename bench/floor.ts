import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pods } from "@peapod/api";
import { run, type Scope } from "@peapod/kit";
import type { BenchEngine } from "./engine.ts";
import { createUntilRunning, deleteUntilGone, threeContainers } from "./three-containers.ts";

/** What no engine can beat: the pod's namespaces and the bare OCI runtime, three containers at once, from a shell script. */
export interface Floor {
  /** The runtime's path, the one that the engine uses. */
  readonly runtime: string;
  /** The image's root file system. */
  readonly rootfs: string;
  /** Milliseconds from the script's start until the three containers run; they are gone again after. */
  start(): Promise<number>;
}

interface OciConfig {
  root: { path: string };
  mounts: { destination: string; source: string }[];
  linux: { cgroupsPath: string; namespaces: { type: string; path?: string }[] };
}

const CONTAINERS = ["one", "two", "three"];

/** Takes the config.json files of a pod of the engine's, and points them at root file systems and namespaces of the floor's own. */
export async function prepareFloor(engine: BenchEngine, folder: string, scope: Scope, signal: AbortSignal): Promise<Floor> {
  await createUntilRunning(engine.client, threeContainers("floor"), signal);
  const pod = await engine.client.get(pods, { namespace: "default", name: "floor" }, signal);
  const ids = pod.status?.containerStatuses?.map((one) => one.containerID?.split("://")[1] ?? "") ?? [];
  const rootfs = join(folder, "rootfs");
  const shm = join(folder, "shm");
  const ns = join(folder, "ns");
  for (const path of [shm, ns]) mkdirSync(path, { recursive: true });
  const configs = ids.map((id) => JSON.parse(readFileSync(join(bundleOf(engine.runDir, id), "config.json"), "utf8")) as OciConfig); // written by the engine
  const first = configs[0];
  if (first === undefined || configs.length !== CONTAINERS.length) throw new Error("The engine's pod has not three containers");
  cpSync(first.root.path, rootfs, { recursive: true, verbatimSymlinks: true });
  configs.forEach((config, index) => {
    const bundle = join(folder, CONTAINERS[index] ?? "");
    const own = join(bundle, "files");
    mkdirSync(own, { recursive: true });
    cpSync(rootfs, join(bundle, "rootfs"), { recursive: true, verbatimSymlinks: true });
    config.root.path = join(bundle, "rootfs");
    config.linux.cgroupsPath = `/${engine.engineId}-floor/${CONTAINERS[index]}`;
    for (const one of config.linux.namespaces) if (one.path !== undefined) one.path = join(ns, one.type === "network" ? "net" : one.type);
    for (const mount of config.mounts) {
      if (mount.destination === "/dev/shm") mount.source = shm;
      else if (mount.source?.includes(engine.stateDir) || mount.source?.includes(engine.runDir)) {
        const copy = join(own, mount.destination.replaceAll("/", "_"));
        cpSync(mount.source, copy);
        mount.source = copy;
      }
    }
    writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
  });
  await deleteUntilGone(engine.client, "floor", signal);
  const runtime = runtimeOf(pod.status?.containerStatuses?.[0]?.containerID ?? "");
  const script = join(folder, "floor.sh");
  writeFileSync(script, floorScript(runtime, folder));
  writeFileSync(join(folder, "clear.sh"), clearScript(runtime, folder));
  const clear = async (): Promise<void> => {
    await run("sh", [join(folder, "clear.sh")], { signal: AbortSignal.timeout(20_000) });
  };
  scope.defer(async () => {
    await clear();
    await run("sh", ["-c", `find /sys/fs/cgroup -depth -type d -path '*/${engine.engineId}-floor*' -exec rmdir {} \\; 2>/dev/null; true`], {
      signal: AbortSignal.timeout(5_000),
    });
  });
  const start = async (): Promise<number> => {
    const startedMs = performance.now();
    await run("sh", [script], { signal });
    const tookMs = performance.now() - startedMs;
    await clear();
    return tookMs;
  };
  return { runtime, rootfs, start };
}

function bundleOf(runDir: string, id: string): string {
  const folder = join(runDir, "containers");
  const name = readdirSync(folder).find((one) => one === id);
  if (name === undefined) throw new Error(`The engine has no bundle of container ${id}`);
  return join(folder, name);
}

function runtimeOf(containerId: string): string {
  return containerId.split("://")[0] ?? "";
}

function floorScript(runtime: string, folder: string): string {
  return `set -e
for n in net ipc uts; do : > ${folder}/ns/$n; done
unshare --net=${folder}/ns/net --ipc=${folder}/ns/ipc --uts=${folder}/ns/uts true
for c in ${CONTAINERS.join(" ")}; do
  ( ${runtime} --root ${folder}/state create --bundle ${folder}/$c --pid-file ${folder}/$c.pid floor-$c </dev/null >/dev/null 2>&1 && ${runtime} --root ${folder}/state start floor-$c ) &
  pids="$pids $!"
done
for p in $pids; do wait $p; done
`;
}

function clearScript(runtime: string, folder: string): string {
  return `for c in ${CONTAINERS.join(" ")}; do ${runtime} --root ${folder}/state delete --force floor-$c 2>/dev/null; done
for n in net ipc uts; do umount ${folder}/ns/$n 2>/dev/null; done
true
`;
}
