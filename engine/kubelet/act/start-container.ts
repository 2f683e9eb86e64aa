import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Container, lastingRoles, type Pod, podContainers } from "@peapod/api";
import { EngineError, hasCode } from "../../errors.ts";
import type { Image } from "../../images/images.ts";
import type { Mount } from "../../runtime/runtime.ts";
import { containerConfig, podLogsPath, rootfsKey } from "../decide/container-config.ts";
import { containerEnvironment } from "../decide/environment.ts";
import { availableImage } from "./image-access.ts";
import type { RestartBackoff } from "../decide/pod-seen.ts";
import type { PodFiles } from "../record/pod-volumes.ts";
import { containerSpecHash } from "../record/spec-hash.ts";
import { describeError, recordEvent } from "../services.ts";
import type { Given } from "./steps.ts";
import { subPathOf } from "../decide/sub-path-of.ts";
import type { Turn } from "./turn.ts";
import { isReadOnlyVolume } from "../decide/volume-plans.ts";

/** What containerd gives a container whose process could not be started. */
const START_ERROR_CODE = 128;

/** What one start of a container needs. */
interface Start {
  readonly pod: Pod;
  readonly container: Container;
  readonly attempt: number;
  readonly image: Image;
}

/**
 * Starts a container: its root file system, its volumes and its pod's sandbox are made ready at the same time. What goes wrong
 * becomes a note, an event and a later try, and leaves nothing behind.
 */
export async function startContainer(
  turn: Turn,
  action: { readonly name: string; readonly attempt: number; readonly backoff?: RestartBackoff },
  given: Given<"start-container">,
): Promise<void> {
  const { services, record, pod } = turn;
  const container = podContainers(pod?.spec, lastingRoles).find(({ name }) => name === action.name)?.container;
  if (pod === undefined || container === undefined) return;
  const notes = record.notesOf(container.name); // those of this image, also if another is wanted meanwhile
  const image = await availableImage(turn, container, given.network);
  if (image === undefined) return;
  try {
    const outcome = await create(turn, { pod, container, attempt: action.attempt, image }, given);
    if (outcome === "not yet") return;
    notes.started(action.backoff);
    if (outcome === "started") recordEvent(services, record, "Normal", "Started", "Container started", container.name);
  } catch (cause) {
    turn.signal.throwIfAborted();
    const message = describeError(cause);
    const reason = hasCode(cause, "CONTAINER_CONFIG_INVALID", "VOLUME_FAILED") ? "CreateContainerConfigError" : "CreateContainerError";
    notes.notMade(reason, message, services.clock);
    recordEvent(services, record, "Warning", "Failed", `Error: ${message}`, container.name);
    services.log.warn("container not created", { pod: record.name, container: container.name, error: cause });
  }
}

/** `not yet`: what it needs of its pod failed, which is told there. */
async function create(turn: Turn, start: Start, given: Given<"start-container">): Promise<"started" | "start failed" | "not yet"> {
  const { services, record, signal, engine } = turn;
  const { container, attempt, image } = start;
  await using undo = new AsyncDisposableStack();
  const key = rootfsKey(record.uid, container.name, attempt);
  const logPath = join(podLogsPath(services.podLogsDir, record), container.name, `${attempt}.log`);
  const [rootfs, inside, sandbox] = await Promise.allSettled([
    services.images.mountRootfs(image.id, key, signal),
    insideOf(turn, start, given),
    given.sandbox,
    mkdir(dirname(logPath), { recursive: true, mode: 0o700 }),
  ]);
  undo.defer(async () => tryUndo(turn, async () => services.images.removeRootfs(key, engine)));
  if (rootfs.status === "rejected") throw rootfs.reason;
  if (inside.status === "rejected") throw inside.reason;
  if (inside.value === undefined || sandbox.status === "rejected" || sandbox.value === undefined) return "not yet";
  const config = containerConfig({
    pod: start.pod,
    container,
    attempt,
    image,
    specHash: containerSpecHash(container),
    rootfsPath: rootfs.value,
    ...inside.value,
    logPath,
    nodeMemoryBytes: services.nodeMemoryBytes,
  });
  let id: string;
  try {
    id = await services.runtime.createContainer(sandbox.value.id, config, signal);
  } catch (cause) {
    return startFailed(turn, start, cause); // some runtimes look for the executable at this step
  }
  undo.defer(async () => tryUndo(turn, async () => services.runtime.removeContainer(id, engine)));
  recordEvent(services, record, "Normal", "Created", "Container created", container.name);
  if ((await given.network) === undefined) return "not yet";
  try {
    await services.runtime.startContainer(id, signal);
  } catch (cause) {
    return startFailed(turn, start, cause);
  }
  undo.move(); // it is the record's now
  record.containers.looked(await services.runtime.containerStatus(id), services.clock);
  services.log.info("container started", { pod: record.name, container: container.name, attempt, sandbox: sandbox.value.id });
  return "started";
}

/** What is left is made anew by the next try, or removed with the pod; why the start failed is what its status tells. */
async function tryUndo({ services, record }: Turn, undo: () => Promise<void>): Promise<void> {
  try {
    await undo();
  } catch (error) {
    services.log.warn("a start that failed leaves something", { pod: record.name, error });
  }
}

/** A process that could not be started counts as a start that ended at once; anything else is thrown on. */
function startFailed({ services, record, signal }: Turn, { container, attempt }: Start, cause: unknown): "start failed" {
  signal.throwIfAborted();
  if (!hasCode(cause, "CONTAINER_START_FAILED")) throw cause;
  const message = describeError(cause);
  record.containers.ended(container.name, attempt, {
    kind: "ended",
    exitCode: START_ERROR_CODE,
    reason: "StartError",
    message,
    startedAtMs: 0,
    finishedAtMs: services.clock.nowMs(),
    endedAtMs: services.clock.monotonicMs(),
  });
  recordEvent(services, record, "Warning", "Failed", `Error: ${message}`, container.name);
  return "start failed";
}

/** The environment and mounts of a container; undefined where its pod's volumes or address are not there. */
async function insideOf(
  turn: Turn,
  { pod, container }: Start,
  given: Given<"start-container">,
): Promise<{ variables: Readonly<Record<string, string>>; mounts: Mount[] } | undefined> {
  const { services, record } = turn;
  const [address, paths] = await Promise.all([turn.address(), given.volumes]);
  if (address === undefined || paths === undefined) return undefined;
  const { variables, skipped } = containerEnvironment(container, {
    pod,
    references: turn.references,
    podIP: address.ip,
    hostIP: services.network.hostIP,
    allocatable: services.allocatable,
  });
  for (const message of skipped) recordEvent(services, record, "Warning", "InvalidEnvironmentVariableNames", message, container.name);
  const files = await turn.podFiles();
  const mounts = await volumeMounts(turn, pod, container, paths, variables);
  return { variables, mounts: [...fileMounts(files, mounts), ...mounts] };
}

async function volumeMounts(
  turn: Turn,
  pod: Pod,
  container: Container,
  paths: ReadonlyMap<string, string>,
  variables: Readonly<Record<string, string>>,
): Promise<Mount[]> {
  const { services, record, signal } = turn;
  const mounts: Mount[] = [];
  for (const mount of container.volumeMounts ?? []) {
    const volume = pod.spec?.volumes?.find(({ name }) => name === mount.name);
    const path = paths.get(mount.name);
    const problem = turn.volumePlans?.problems.get(mount.name);
    if (path === undefined && problem !== undefined) throw new EngineError("VOLUME_FAILED", problem);
    if (volume === undefined || path === undefined)
      throw new EngineError("CONTAINER_CONFIG_INVALID", `Volume "${mount.name}" of container "${container.name}" is not in the pod`);
    const subPath = subPathOf(mount, variables);
    const hostPath =
      subPath === ""
        ? path
        : await record.volumes.inOrder(async () => services.volumes.subPath(record.uid, mount.name, subPath, signal), signal);
    const propagation = { None: "private", HostToContainer: "rslave", Bidirectional: "rshared" } as const;
    mounts.push({
      hostPath,
      containerPath: mount.mountPath.startsWith("/") ? mount.mountPath : `/${mount.mountPath}`,
      readonly: mount.readOnly === true || isReadOnlyVolume(volume),
      ...(mount.mountPropagation === undefined ? {} : { propagation: propagation[mount.mountPropagation] }),
    });
  }
  return mounts;
}

/** The pod's own files, but for those the container mounts itself. */
function fileMounts(files: PodFiles, own: readonly Mount[]): Mount[] {
  const managed = [
    { hostPath: files.hosts, containerPath: "/etc/hosts" },
    { hostPath: files.resolver, containerPath: "/etc/resolv.conf" },
    { hostPath: files.hostname, containerPath: "/etc/hostname" },
  ];
  return managed
    .filter(({ containerPath }) => !own.some((mount) => mount.containerPath === containerPath))
    .map((mount) => ({ ...mount, readonly: false }));
}
