/**
 * The runtime as the kubelet sees it, in the CRI's verbs and words (cri-api, runtime/v1/api.proto).
 * Images, volumes and addresses are made by others: a container gets a finished root file system and finished mounts,
 * a sandbox a network namespace that somebody else connects.
 */
export interface ContainerRuntime {
  /** The runtime's name and version, as in Node.status.nodeInfo: `runc://1.1.5`. */
  readonly version: string;

  /**
   * Makes a pod sandbox: network, IPC and UTS namespaces pinned as files, `/dev/shm`, and a pause process where the pod
   * shares its process namespace. The network namespace has only a loopback device, down.
   */
  runPodSandbox(config: PodSandboxConfig, signal: AbortSignal): Promise<PodSandbox>;
  /** Kills what is left of the sandbox's containers, ends its pause process and unpins its namespaces. Safe to repeat. */
  stopPodSandbox(id: string, signal: AbortSignal): Promise<void>;
  /** Removes what is left of a stopped sandbox and its containers: files, mounts, cgroups. Safe to repeat. */
  removePodSandbox(id: string, signal: AbortSignal): Promise<void>;
  /** Every sandbox known from the machine, whichever engine process made it. */
  listPodSandboxes(): Promise<PodSandbox[]>;
  /** One sandbox, as it is now; throws SANDBOX_NOT_FOUND. */
  podSandboxStatus(id: string): Promise<PodSandbox>;

  /**
   * Creates a container; its process is held before its entrypoint. Throws CONTAINER_CONFIG_INVALID where the configuration
   * cannot make one (an unknown user), CONTAINER_CREATE_FAILED with the runtime's own words otherwise; nothing is left of a failed one.
   */
  createContainer(sandboxId: string, config: ContainerConfig, signal: AbortSignal): Promise<string>;
  /** Starts a created container. Throws CONTAINER_START_FAILED with the runtime's own words (no such executable). */
  startContainer(id: string, signal: AbortSignal): Promise<void>;
  /** Sends the stop signal, waits `graceSeconds`, then SIGKILL; resolves when it has exited. Grace 0: SIGKILL at once. Safe to repeat. */
  stopContainer(id: string, graceSeconds: number, signal: AbortSignal): Promise<void>;
  /** Removes an exited or created container, its bundle and cgroup, not its log. Safe to repeat. */
  removeContainer(id: string, signal: AbortSignal): Promise<void>;
  /** Every container known from the machine, with its true state now: adopted ones, and ones that exited while no engine ran. */
  listContainers(): Promise<Container[]>;
  /** One container; throws CONTAINER_NOT_FOUND. */
  containerStatus(id: string): Promise<Container>;
  /** Starts a process in a running container. */
  exec(id: string, options: ExecOptions, signal: AbortSignal): Promise<ExecSession>;

  /** Says which container (exited) or sandbox (lost) changed by itself. Only a hint: look again. Ends when the signal is aborted. */
  events(signal: AbortSignal): AsyncIterable<RuntimeEvent>;
}

/** What a pod is to the runtime. */
export interface PodMetadata {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
}

export interface PodSandboxConfig {
  readonly pod: PodMetadata;
  /** Counts the sandboxes of one pod. */
  readonly attempt: number;
  readonly hostname: string;
  /** True: a pause process is PID 1 of every container. */
  readonly shareProcessNamespace: boolean;
  /** The pod-level cgroup limits, sums of its containers'; undefined where one has none. */
  readonly resources: LinuxResources;
  /** Written into the network namespace by name, such as `net.ipv4.ip_unprivileged_port_start`. */
  readonly sysctls: Readonly<Record<string, string>>;
  /** The size of /dev/shm, and of what else the pod may write in memory that is no volume. Default 64 MiB. */
  readonly shmSizeBytes?: number;
}

export interface PodSandbox {
  readonly id: string;
  readonly pod: PodMetadata;
  readonly attempt: number;
  readonly state: "ready" | "notready";
  /** Nanosecond-free: milliseconds since the epoch. */
  readonly createdAtMs: number;
  /** The path that `setns` and `ip netns` take; valid while the sandbox is ready. */
  readonly netnsPath: string;
}

export interface ContainerConfig {
  /** The container's name in the pod. */
  readonly name: string;
  /** Counts the starts of this container in this pod: its restart count. */
  readonly attempt: number;
  /** What the status shows: the image as the manifest names it, and its id. */
  readonly image: string;
  readonly imageId: string;
  /** A hash of what of the container's spec, changed, wants a new container. */
  readonly specHash: string;
  /** A mounted, writable root file system, not removed by the runtime. */
  readonly rootfsPath: string;
  readonly readonlyRootfs: boolean;
  /** The whole argument vector: never empty. */
  readonly args: readonly string[];
  /** Made in the root file system where it is missing. */
  readonly workingDir: string;
  /** `NAME=value`, complete but for PATH, HOME and HOSTNAME, which the runtime adds where missing. */
  readonly env: readonly string[];
  /** `user[:group]` of the image, names or numbers, resolved in the root file system; "" is root. */
  readonly user: string;
  /** In any order: what is mounted inside another comes after it. */
  readonly mounts: readonly Mount[];
  /**
   * Folders made in the root file system where they are missing, and writable also where that is not; none where a mount is, or in what
   * is mounted.
   */
  readonly imageVolumes: readonly string[];
  /** Where an empty file is for the container's last words, which every user may write; a mount of the same path wins. */
  readonly terminationMessagePath: string;
  readonly resources: LinuxResources;
  readonly oomScoreAdj: number;
  readonly stdin: boolean;
  readonly tty: boolean;
  /** Such as SIGTERM, SIGQUIT, SIGRTMIN+3. */
  readonly stopSignal: string;
  /** Where conmon writes the log, in CRI format. Its folder exists. */
  readonly logPath: string;
}

/** A bind mount. */
export interface Mount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly readonly: boolean;
  /** Default "private". */
  readonly propagation?: "private" | "rslave" | "rshared";
}

/** Undefined is no limit. From the kubelet's cm/helpers_linux.go: shares from requests, quota and memory from limits. */
export interface LinuxResources {
  /** At least 2. */
  readonly cpuShares?: number;
  /** Microseconds of `cpuPeriodUs`; at least 1000. */
  readonly cpuQuotaUs?: number;
  readonly cpuPeriodUs?: number;
  readonly memoryLimitBytes?: number;
  readonly pidsLimit?: number;
}

export interface Container {
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
  readonly state: ContainerState;
}

/**
 * created -> running -> exited; created -> exited where the engine died in between. `unknown` is a process that vanished without
 * leaving an exit code (conmon killed, machine rebooted): ContainerStatusUnknown, 137.
 */
export type ContainerState =
  | { readonly kind: "created" }
  | { readonly kind: "running"; readonly pid: number; readonly startedAtMs: number }
  | {
      readonly kind: "exited";
      readonly exitCode: number;
      readonly startedAtMs: number;
      readonly finishedAtMs: number;
      readonly oomKilled: boolean;
    }
  | { readonly kind: "unknown"; readonly startedAtMs: number; readonly finishedAtMs: number };

export type RuntimeEvent = ContainerEvent | SandboxEvent;

export interface ContainerEvent {
  readonly containerId: string;
  readonly podUid: string;
}

/** A sandbox that is no longer ready, though nobody stopped it. */
export interface SandboxEvent {
  readonly sandboxId: string;
  readonly podUid: string;
}

export interface ExecOptions {
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
  /** Set with tty. */
  readonly size?: TerminalSize;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** A process running in a container, with streams. With a tty everything comes on stdout. */
export interface ExecSession {
  readonly stdout: AsyncIterable<Uint8Array>;
  readonly stderr: AsyncIterable<Uint8Array>;
  /** Resolves when the process took it (backpressure). */
  write(chunk: Uint8Array): Promise<void>;
  closeStdin(): void;
  resize(size: TerminalSize): void;
  /** The exit code; 128 + n after signal n. */
  readonly exitCode: Promise<number>;
}
