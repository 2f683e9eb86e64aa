import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run, type Scope } from "@peapod/kit";

/**
 * Prepares `podman kube play` of the same pod on the same root file system and runtime, in storage of its own; gives what times one round.
 * Installs Debian's podman where it is absent.
 */
export async function preparePodman(rootfs: string, runtime: string, folder: string, scope: Scope, signal: AbortSignal): Promise<(round: number) => Promise<number>> {
  await installPodman(signal);
  const store = ["--root", join(folder, "podman"), "--runroot", join(folder, "podman-run"), "--runtime", runtime, "--cgroup-manager", "cgroupfs"];
  const podman = (...args: readonly string[]) => run("podman", [...store, ...args], { signal, timeoutMs: 120_000 });
  scope.defer(async () => {
    const end = AbortSignal.timeout(60_000);
    await run("podman", [...store, "pod", "rm", "--all", "--force", "--time=0"], { signal: end });
    await run("podman", [...store, "system", "reset", "--force"], { signal: end });
  });
  const archive = join(folder, "rootfs.tar");
  await run("tar", ["-C", rootfs, "-cf", archive, "."], { signal });
  await podman("import", "--quiet", archive, "localhost/bench:latest");
  const manifest = join(folder, "pod.json");
  const container = (name: string) => ({ name, image: "localhost/bench:latest", imagePullPolicy: "Never", command: ["/bin/busybox", "sleep", "3600"] });
  await writeFile(
    manifest,
    JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata: { name: "bench" }, spec: { terminationGracePeriodSeconds: 0, containers: ["one", "two", "three"].map(container) } }),
  );
  return async () => {
    const startedMs = performance.now();
    await podman("kube", "play", manifest);
    const tookMs = performance.now() - startedMs;
    await podman("pod", "rm", "--force", "--time=0", "bench");
    return tookMs;
  };
}

async function installPodman(signal: AbortSignal): Promise<void> {
  try {
    await access("/usr/bin/podman");
  } catch {
    process.stdout.write("Installing Debian's podman, the peer of this benchmark\n");
    await run("apt-get", ["update", "-qq"], { signal });
    await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "podman"], { signal, env: { ...(process.env as Record<string, string>), DEBIAN_FRONTEND: "noninteractive" } }); // a set variable is a string
  }
}
