import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run, type Scope } from "@peapod/kit";

/**
 * Prepares `podman kube play` of the same pod on the same root file system and runtime, in storage of its own; gives what times one round.
 * Installs Debian's podman where it is absent.
 */
export async function preparePodman(
  rootfs: string,
  runtime: string,
  folder: string,
  scope: Scope,
  signal: AbortSignal,
): Promise<(round: number) => Promise<number>> {
  await installPodman(signal);
  const store = [
    "--root",
    join(folder, "podman"),
    "--runroot",
    join(folder, "podman-run"),
    "--runtime",
    runtime,
    "--cgroup-manager",
    "cgroupfs",
  ];
  const env = { ...(process.env as Record<string, string>), CONTAINERS_CONF: await writeLimits(folder) }; // a set variable is a string
  const podman = (...args: readonly string[]) => run("podman", [...store, ...args], { signal, env, timeoutMs: 120_000 });
  scope.defer(async () => {
    const end = AbortSignal.timeout(60_000);
    await run("podman", [...store, "pod", "rm", "--all", "--force", "--time=0"], { signal: end, env });
    await run("podman", [...store, "system", "reset", "--force"], { signal: end, env });
  });
  const archive = join(folder, "rootfs.tar");
  await run("tar", ["-C", rootfs, "-cf", archive, "."], { signal });
  await podman("import", "--quiet", archive, "localhost/bench:latest");
  const manifest = join(folder, "pod.json");
  const container = (name: string) => ({
    name,
    image: "localhost/bench:latest",
    imagePullPolicy: "Never",
    command: ["/bin/busybox", "sleep", "3600"],
  });
  await writeFile(
    manifest,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "bench" },
      spec: { terminationGracePeriodSeconds: 0, containers: ["one", "two", "three"].map(container) },
    }),
  );
  return async () => {
    const startedMs = performance.now();
    await podman("kube", "play", manifest);
    const tookMs = performance.now() - startedMs;
    await podman("pod", "rm", "--force", "--time=0", "bench");
    return tookMs;
  };
}

/** Without CAP_SYS_RESOURCE podman fails to raise its containers' limits: it is given some that are low enough anywhere. */
async function writeLimits(folder: string): Promise<string> {
  const path = join(folder, "containers.conf");
  await writeFile(path, '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n');
  return path;
}

async function installPodman(signal: AbortSignal): Promise<void> {
  try {
    await access("/usr/bin/podman");
  } catch {
    process.stdout.write("Installing Debian's podman, the peer of this benchmark\n");
    await run("apt-get", ["update", "-qq"], { signal });
    await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "podman"], {
      signal,
      env: { ...(process.env as Record<string, string>), DEBIAN_FRONTEND: "noninteractive" },
    }); // a set variable is a string
  }
}
