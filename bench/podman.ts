import { access, mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run, type Scope } from "@peapod/kit";

export interface PodmanPeer {
  /** Milliseconds that one `podman kube play` takes; the pod is gone again after. */
  start(): Promise<number>;
  /** Such as `podman version 4.3.1, overlay, netavark`. */
  readonly description: string;
}

/**
 * Prepares `podman kube play` of the same pod on the same root file system and runtime, the image present, in storage of its own; nothing
 * of the machine's podman is used or changed. Installs Debian's podman where it is absent.
 */
export async function preparePodman(
  rootfs: string,
  runtime: string,
  folder: string,
  scope: Scope,
  signal: AbortSignal,
): Promise<PodmanPeer> {
  await installPodman(signal);
  const hadChains = (await netavarkRules()).length > 0;
  const own = (name: string): string => join(folder, name);
  const places = [
    ["--root", own("podman")],
    ["--runroot", own("podman-run")],
    ["--tmpdir", own("podman-tmp")],
    ["--network-config-dir", own("podman-networks")],
  ].flat();
  await mkdir(own("podman-networks"), { recursive: true });
  const store = [...places, "--runtime", runtime, "--cgroup-manager", "cgroupfs"];
  const env = { ...(process.env as Record<string, string>), CONTAINERS_CONF: await writeLimits(folder) }; // a set variable is a string
  const podman = async (args: readonly string[], until = signal): Promise<string> =>
    (await run("podman", [...store, ...args], { signal: until, env, timeoutMs: 120_000 })).stdout;
  scope.defer(async () => {
    await podman(["pod", "rm", "--all", "--force", "--time=0"], AbortSignal.timeout(60_000));
    await unmountBelow(folder);
    if (!hadChains) await removeNetavarkRules();
    await removeEmptyCgroups("libpod_parent");
  });
  const archive = own("rootfs.tar");
  await run("tar", ["-C", rootfs, "-cf", archive, "."], { signal });
  await podman(["import", "--quiet", archive, "localhost/bench:latest"]);
  const manifest = own("pod.json");
  await writeFile(manifest, JSON.stringify(podmanPod));
  const [driver = "", network = ""] = (await podman(["info", "--format", "{{.Store.GraphDriverName}} {{.Host.NetworkBackend}}"]))
    .trim()
    .split(" ");
  if (driver !== "overlay")
    process.stdout.write(`Beware: podman uses the storage driver ${driver} here, slower than the overlay that peapod uses\n`);
  const version = (await podman(["--version"])).trim();
  return {
    description: `${version}, ${driver}, ${network}`,
    start: async () => {
      const startedMs = performance.now();
      await podman(["kube", "play", manifest]);
      const tookMs = performance.now() - startedMs;
      await podman(["pod", "rm", "--force", "--time=0", "bench"]);
      return tookMs;
    },
  };
}

const podmanPod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "bench" },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: ["one", "two", "three"].map((name) => ({
      name,
      image: "localhost/bench:latest",
      imagePullPolicy: "Never",
      command: ["/bin/busybox", "sleep", "3600"],
    })),
  },
};

/** Without CAP_SYS_RESOURCE podman fails to raise its containers' limits: it is given some that are low enough anywhere. */
async function writeLimits(folder: string): Promise<string> {
  const path = join(folder, "containers.conf");
  await writeFile(path, '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n');
  return path;
}

/** Unmounts what podman keeps mounted below a folder: its storage, onto itself. */
export async function unmountBelow(folder: string): Promise<void> {
  const mounts = (await readFile("/proc/self/mounts", "utf8")).split("\n").map((line) => line.split(" ")[1] ?? "");
  for (const path of mounts.filter((one) => one.startsWith(`${folder}/podman`)).toReversed())
    await run("umount", [path], { signal: AbortSignal.timeout(10_000) });
}

/** The lines of `iptables-save` by which podman's network program hooks itself in, and which it leaves behind, by table. */
async function netavarkRules(): Promise<{ table: string; rule: string }[]> {
  const rules: { table: string; rule: string }[] = [];
  let table = "";
  for (const line of await iptablesSave()) {
    if (line.startsWith("*")) table = line.slice(1);
    else if (line.includes("NETAVARK")) rules.push({ table, rule: line });
  }
  return rules;
}

async function iptablesSave(): Promise<string[]> {
  try {
    return (await run("iptables-save", [], { signal: AbortSignal.timeout(10_000) })).stdout.split("\n");
  } catch {
    return []; // no iptables: podman's network program cannot have used it
  }
}

/** Those of a podman that has begun meanwhile and has containers stay. */
async function removeNetavarkRules(): Promise<void> {
  const rules = await netavarkRules();
  if (rules.some(({ rule }) => /^(-A NETAVARK_FORWARD|:NETAVARK-(?!HOSTPORT-(DNAT|MASQ|SETMARK) ))/.test(rule))) return;
  const hooks = rules.filter(({ rule }) => rule.startsWith("-A")).map(({ table, rule }) => ({ table, order: rule.replace("-A", "-D") }));
  const chains = rules.flatMap(({ table, rule }) => (rule.startsWith(":") ? [{ table, chain: rule.slice(1).split(" ")[0] ?? "" }] : []));
  const removals = chains.map(({ table, chain }) => ({ table, order: `-X ${chain}` }));
  const input = [...hooks, ...removals].map(({ table, order }) => `*${table}\n${order}\nCOMMIT\n`).join("");
  if (input !== "") await run("iptables-restore", ["--noflush"], { signal: AbortSignal.timeout(10_000), input });
}

/** In every hierarchy, with the empty ones below; one that is somebody's, and so not empty, stays. */
async function removeEmptyCgroups(name: string): Promise<void> {
  const root = "/sys/fs/cgroup";
  for (const path of [root, ...(await foldersIn(root))]) await removeEmptyTree(join(path, name));
}

async function removeEmptyTree(path: string): Promise<void> {
  for (const each of await foldersIn(path)) await removeEmptyTree(each);
  await rmdir(path).catch(() => {}); // busy, or not there
}

async function foldersIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []); // not there
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(path, name));
}

/** Installs Debian's podman where it is absent. */
export async function installPodman(signal: AbortSignal): Promise<void> {
  try {
    await access("/usr/bin/podman");
  } catch {
    process.stdout.write("Installing Debian's podman, the peer of this benchmark\n");
    await run("apt-get", ["update", "-qq"], { signal });
    await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "podman", "netavark"], {
      signal,
      env: { ...(process.env as Record<string, string>), DEBIAN_FRONTEND: "noninteractive" },
    }); // a set variable is a string
  }
}
