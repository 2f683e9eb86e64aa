import {
  type Container,
  containerResources,
  cpuQuotaMicros,
  cpuShares,
  expandVariables,
  oomScoreAdj,
  type Pod,
  podResources,
  type Resources,
} from "@peapod/api";
import { EngineError } from "../../errors.ts";
import type { Image } from "../../images/images.ts";
import type { ContainerConfig, LinuxResources, Mount } from "../../runtime/runtime.ts";

const CPU_PERIOD_US = 100_000;

export interface ContainerParts {
  readonly pod: Pod;
  readonly container: Container;
  readonly attempt: number;
  readonly image: Image;
  readonly specHash: string;
  readonly rootfsPath: string;
  /** What the specification gives; the image's own comes before it. */
  readonly variables: Readonly<Record<string, string>>;
  readonly mounts: readonly Mount[];
  readonly logPath: string;
  readonly nodeMemoryBytes: number;
}

/** The runtime's configuration of a container. Throws CONTAINER_CREATE_FAILED where neither manifest nor image has a command. */
export function containerConfig(parts: ContainerParts): ContainerConfig {
  const { pod, container, image, variables } = parts;
  const args = commandLine(container, image, variables);
  if (args.length === 0) throw new EngineError("CONTAINER_CREATE_FAILED", "no command specified");
  const { runAsUser, runAsGroup, readOnlyRootFilesystem } = { ...pod.spec?.securityContext, ...container.securityContext };
  const user = runAsUser === undefined ? image.config.user : `${runAsUser}${runAsGroup === undefined ? "" : `:${runAsGroup}`}`;
  return {
    name: container.name,
    attempt: parts.attempt,
    image: container.image ?? "",
    imageId: image.id,
    specHash: parts.specHash,
    rootfsPath: parts.rootfsPath,
    readonlyRootfs: readOnlyRootFilesystem ?? false,
    args,
    workingDir: container.workingDir || image.config.workingDir || "/",
    env: mergeEnvironment(image.config.env, variables),
    user,
    mounts: parts.mounts,
    imageVolumes: image.config.volumes,
    terminationMessagePath: container.terminationMessagePath || "/dev/termination-log",
    resources: linuxResources(containerResources(container)),
    oomScoreAdj: oomScoreAdj(pod, container, parts.nodeMemoryBytes),
    stdin: container.stdin ?? false,
    tty: container.tty ?? false,
    stopSignal: container.lifecycle?.stopSignal || image.config.stopSignal || "SIGTERM",
    logPath: parts.logPath,
  };
}

/** The cgroup limits of a pod as a whole. */
export function podLinuxResources(pod: Pod): LinuxResources {
  return linuxResources(podResources(pod));
}

/** The name of a container's root file system: unique over all pods and starts. */
export function rootfsKey(podUid: string, name: string, attempt: number): string {
  return `${podUid}_${name}_${attempt}`;
}

/** `/var/log/pods/<namespace>_<pod>_<uid>`, below the engine's own folder. */
export function podLogsPath(podLogsDir: string, pod: { namespace: string; name: string; uid: string }): string {
  return `${podLogsDir}/${pod.namespace}_${pod.name}_${pod.uid}`;
}

function commandLine(container: Container, image: Image, variables: Readonly<Record<string, string>>): string[] {
  const { command = [], args = [] } = container;
  const entrypoint = command.length > 0 ? command : image.config.entrypoint;
  const rest = args.length > 0 ? args : command.length > 0 ? [] : image.config.cmd;
  const expand = (list: readonly string[], isOwn: boolean): string[] =>
    isOwn ? list.map((text) => expandVariables(text, variables)) : [...list];
  return [...expand(entrypoint, command.length > 0), ...expand(rest, args.length > 0)];
}

function mergeEnvironment(ofImage: readonly string[], variables: Readonly<Record<string, string>>): string[] {
  const own = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  return [...ofImage.filter((entry) => !Object.hasOwn(variables, entry.split("=")[0] ?? "")), ...own];
}

function linuxResources({ cpuRequestMilli, cpuLimitMilli, memoryLimitBytes }: Resources): LinuxResources {
  return {
    cpuShares: cpuShares(cpuRequestMilli ?? 0),
    ...(cpuLimitMilli === undefined || cpuLimitMilli === 0
      ? {}
      : { cpuQuotaUs: cpuQuotaMicros(cpuLimitMilli, CPU_PERIOD_US), cpuPeriodUs: CPU_PERIOD_US }),
    ...(memoryLimitBytes === undefined || memoryLimitBytes === 0 ? {} : { memoryLimitBytes }),
  };
}
