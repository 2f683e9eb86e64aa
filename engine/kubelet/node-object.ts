import { createHash } from "node:crypto";
import { arch, cpus, release, totalmem } from "node:os";
import { statfs } from "node:fs/promises";
import { formatQuantity, type Node, type NodeCondition, type NodeStatus, parseQuantity, timestamp } from "@peapod/api";
import { join } from "node:path";
import { readTextIfPresent } from "@peapod/kit";

/** What the machine says of itself. */
export interface MachineFacts {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
  readonly architecture: string;
  readonly bootId: string;
  readonly machineId: string;
  readonly systemUuid: string;
  readonly kernel: string;
  readonly osImage: string;
}

/** As upstream's default. */
const MAXIMUM_PODS = 110;
/** The version of the Kubernetes API that the engine keeps to. */
const KUBELET_VERSION = "v1.36.0";

/** Reads what a Node shows of this machine. `stateDir` is where pods' storage is. */
export async function readMachine(stateDir: string): Promise<MachineFacts> {
  const read = async (path: string): Promise<string> => ((await readTextIfPresent(path).catch(() => undefined)) ?? "").trim(); // such as product_uuid, which only root may read
  const [bootId, knownId, engineId, systemUuid, osRelease, disk] = await Promise.all([
    read("/proc/sys/kernel/random/boot_id"),
    read("/etc/machine-id"),
    read(join(stateDir, "engine-id")),
    read("/sys/class/dmi/id/product_uuid"),
    read("/etc/os-release"),
    statfs(stateDir),
  ]);
  // A machine without systemd has no id of its own: one that stays as long as the state does stands in.
  const machineId = knownId || createHash("sha256").update(engineId).digest("hex").slice(0, 32);
  return {
    cpus: cpus().length,
    memoryBytes: totalmem(),
    storageBytes: disk.blocks * disk.bsize,
    architecture: { x64: "amd64", arm64: "arm64" }[arch() as string] ?? arch(),
    bootId,
    machineId,
    systemUuid: systemUuid || machineId,
    kernel: release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1] ?? "Linux",
  };
}

/** What a node has for its pods. */
export function nodeCapacity(machine: MachineFacts): Record<string, string> {
  const kibibytes = (bytes: number): string => `${Math.floor(bytes / 1024)}Ki`;
  const canonical = (text: string): string => {
    const quantity = parseQuantity(text);
    return quantity === undefined ? text : formatQuantity(quantity);
  };
  return {
    cpu: String(machine.cpus),
    "ephemeral-storage": canonical(kibibytes(machine.storageBytes)),
    memory: canonical(kibibytes(machine.memoryBytes)),
    pods: String(MAXIMUM_PODS),
  };
}

/** The node's object as it is registered. */
export function nodeObject(name: string, machine: MachineFacts): Node {
  const labels = {
    "beta.kubernetes.io/arch": machine.architecture,
    "beta.kubernetes.io/os": "linux",
    "kubernetes.io/arch": machine.architecture,
    "kubernetes.io/hostname": name,
    "kubernetes.io/os": "linux",
  };
  return { apiVersion: "v1", kind: "Node", metadata: { name, labels }, spec: {} };
}

/** The node's status; `previous` keeps the moments of transition. */
export function nodeStatus(
  name: string,
  machine: MachineFacts,
  facts: { hostIP: string; runtimeVersion: string; previous: NodeStatus; nowMs: number },
): NodeStatus {
  const capacity = nodeCapacity(machine);
  return {
    addresses: [
      { type: "InternalIP", address: facts.hostIP },
      { type: "Hostname", address: name },
    ],
    allocatable: capacity,
    capacity,
    conditions: nodeConditions(facts.previous.conditions ?? [], facts.nowMs),
    nodeInfo: {
      architecture: machine.architecture,
      bootID: machine.bootId,
      containerRuntimeVersion: facts.runtimeVersion,
      kernelVersion: machine.kernel,
      kubeProxyVersion: "",
      kubeletVersion: KUBELET_VERSION,
      machineID: machine.machineId,
      operatingSystem: "linux",
      osImage: machine.osImage,
      systemUUID: machine.systemUuid,
    },
  };
}

/** Whether a node's status still says what it was written to say: others may add to it, and it has times of its own. */
export function saysStill(status: NodeStatus, written: NodeStatus): boolean {
  const conditions = (written.conditions ?? []).map(({ type, status: verdict }) => ({ type, status: verdict }));
  return includes(status, { ...written, conditions });
}

/** Of an array, each element is in the other's; of an object, each member. */
function includes(whole: unknown, part: unknown): boolean {
  if (typeof part !== "object" || part === null) return whole === part;
  if (typeof whole !== "object" || whole === null) return false;
  if (Array.isArray(part)) return Array.isArray(whole) && part.every((one) => whole.some((other) => includes(other, one)));
  return Object.entries(part).every(([key, value]) => includes(Reflect.get(whole, key), value));
}

function nodeConditions(previous: readonly NodeCondition[], nowMs: number): NodeCondition[] {
  const verdicts = [
    { type: "MemoryPressure", status: "False", reason: "KubeletHasSufficientMemory", message: "kubelet has sufficient memory available" },
    { type: "DiskPressure", status: "False", reason: "KubeletHasNoDiskPressure", message: "kubelet has no disk pressure" },
    { type: "PIDPressure", status: "False", reason: "KubeletHasSufficientPID", message: "kubelet has sufficient PID available" },
    { type: "Ready", status: "True", reason: "KubeletReady", message: "kubelet is posting ready status" },
  ];
  const now = timestamp(nowMs);
  return verdicts.map((verdict) => {
    const known = previous.find(({ type }) => type === verdict.type);
    const since = known?.status === verdict.status ? known.lastTransitionTime : undefined;
    return { ...verdict, lastHeartbeatTime: now, lastTransitionTime: since ?? now };
  });
}
