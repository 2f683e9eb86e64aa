import { mkdir, mkdtemp, readFile, stat, statfs } from "node:fs/promises";
import { release } from "node:os";
import { dirname, join, resolve } from "node:path";
import { CommandError, run } from "@peapod/kit";
import { removeTree } from "../linux/remove-tree.ts";
import { type Check, type CheckFacts, type Finding, lacks, ok } from "./check.ts";

const OLDEST_KERNEL = "5.4";
const LOW_DISK_BYTES = 2e9;

/** Capabilities by number: what is lost without each. The first ones nothing runs without. */
const capabilities: readonly { bit: number; name: string; state: "warn" | "fail"; without: string }[] = [
  { bit: 21, name: "CAP_SYS_ADMIN", state: "fail", without: "no namespaces and no mounts" },
  { bit: 12, name: "CAP_NET_ADMIN", state: "fail", without: "no pod network" },
  { bit: 18, name: "CAP_SYS_CHROOT", state: "fail", without: "no containers" },
  { bit: 24, name: "CAP_SYS_RESOURCE", state: "warn", without: "no lower oom_score_adj and no higher limits than the engine's own" },
  { bit: 27, name: "CAP_MKNOD", state: "warn", without: "no device files in images" },
  { bit: 19, name: "CAP_SYS_PTRACE", state: "warn", without: "no look into the processes of other users" },
];

/** Kernel, rights, namespaces, overlayfs and disk: each tried for real where root may. */
export const checkKernel: Check = async (facts) => {
  const base = await Promise.all([checkVersion(), checkCapabilities(facts), checkDisk(facts)]);
  if (!facts.isRoot) return base;
  return [...base, ...(await Promise.all([checkNamespaces(facts), checkLinks(facts), checkNftables(facts), checkOverlay(facts)]))];
};

async function checkVersion(): Promise<Finding> {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  const [oldMajor = 0, oldMinor = 0] = OLDEST_KERNEL.split(".").map(Number);
  if (major > oldMajor || (major === oldMajor && minor >= oldMinor)) return ok("kernel", release());
  return lacks("warn", "kernel", `${release()}, older than what peapod is tested with (${OLDEST_KERNEL})`, "install a newer kernel");
}

async function checkCapabilities({ isRoot }: CheckFacts): Promise<Finding> {
  if (!isRoot) return lacks("fail", "root", "you are not root, and pods need it", "sudo peapod doctor");
  const text = await readFile("/proc/self/status", "utf8");
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(text)?.[1] ?? "0"}`);
  const missing = capabilities.filter(({ bit }) => ((effective >> BigInt(bit)) & 1n) === 0n);
  if (missing.length === 0) return ok("root", "with every capability that pods need");
  const state = missing.some((one) => one.state === "fail") ? "fail" : "warn";
  const found = missing.map(({ name, without }) => `without ${name}: ${without}`).join("; ");
  return lacks(
    state,
    "root",
    found,
    "nothing to run: whoever started this machine or container keeps the capability back (docker run --privileged gives all)",
  );
}

async function checkNamespaces({ signal }: CheckFacts): Promise<Finding> {
  return await attempt(
    "namespaces",
    "network, IPC, UTS, PID, mount and cgroup",
    ["unshare", "--net", "--ipc", "--uts", "--pid", "--fork", "--mount", "--cgroup", "true"],
    signal,
    {
      state: "fail",
      mend: "use a kernel with namespaces, or a machine that allows them",
    },
  );
}

async function checkLinks({ signal }: CheckFacts): Promise<Finding> {
  const script = "ip link add peapod-b type bridge && ip link add peapod-v type veth peer name peapod-w";
  return await attempt("network devices", "bridge and veth", ["unshare", "--net", "sh", "-c", script], signal, {
    state: "fail",
    mend: "modprobe bridge veth",
  });
}

async function checkNftables({ signal }: CheckFacts): Promise<Finding> {
  const rules = "table ip peapod { chain nat { type nat hook postrouting priority 100; ip saddr 10.0.0.0/8 masquerade; }; }";
  return await attempt("nftables", "tables, NAT and masquerade", ["unshare", "--net", "nft", rules], signal, {
    state: "fail",
    mend: "modprobe nf_tables nft_chain_nat nft_masq",
  });
}

/** Mounted in a mount namespace of its own, on the file system that images will lie on. */
async function checkOverlay({ stateDir, signal }: CheckFacts): Promise<Finding> {
  const name = "overlayfs";
  const folder = await mkdtemp(join(await nearestFolder(stateDir), ".peapod-doctor-"));
  try {
    for (const part of ["lower", "upper", "work", "merged"]) await mkdir(join(folder, part));
    const options = `lowerdir=${folder}/lower,upperdir=${folder}/upper,workdir=${folder}/work`;
    return await attempt(
      name,
      `works in ${dirname(folder)}`,
      ["unshare", "--mount", "mount", "-t", "overlay", "overlay", "-o", options, `${folder}/merged`],
      signal,
      {
        state: "fail",
        mend: `modprobe overlay; where ${dirname(folder)} is itself an overlay, as in a container, use a real file system: PEAPOD_STATE_DIR=/other/place`,
      },
    );
  } finally {
    await removeTree(folder).catch(() => {}); // what is found out counts; the folder says whose it is
  }
}

async function checkDisk({ stateDir }: CheckFacts): Promise<Finding> {
  const folder = await nearestFolder(stateDir);
  const { bavail, bsize } = await statfs(folder);
  const found = `${gigabytes(bavail * bsize)} free in ${folder}`;
  return bavail * bsize >= LOW_DISK_BYTES ? ok("disk", found) : lacks("warn", "disk", found, "peapod image prune --all, or more disk");
}

/** The state directory, or what is there of the way to it. */
async function nearestFolder(path: string): Promise<string> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const isThere = await stat(folder).then(
      (facts) => facts.isDirectory(),
      () => false,
    );
    if (isThere || folder === dirname(folder)) return folder;
  }
}

async function attempt(
  name: string,
  what: string,
  [command = "", ...args]: readonly string[],
  signal: AbortSignal,
  otherwise: { state: "warn" | "fail"; mend: string },
): Promise<Finding> {
  try {
    await run(command, args, { signal, timeoutMs: 10_000 });
    return ok(name, what);
  } catch (cause) {
    signal.throwIfAborted();
    if (!(cause instanceof CommandError)) throw cause;
    return lacks(otherwise.state, name, cause.stderr.trim().split("\n").at(-1) || cause.message, otherwise.mend);
  }
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
