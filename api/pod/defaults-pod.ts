import type {
  Container,
  DownwardAPIVolumeFile,
  EphemeralContainer,
  HTTPGetAction,
  Pod,
  PodSpec,
  Probe,
  Toleration,
  Volume,
} from "../generated.ts";
import { formatQuantity, parseQuantity, roundUpToMilli } from "../values/quantity.ts";
import { lastingRoles, podContainers } from "./containers.ts";

const DEFAULT_GRACE_SECONDS = 30;

/** Fills in, in place, a pod's defaults and what a plain cluster's admission adds to it. */
export function defaultPod({ spec }: Pod): void {
  if (spec === undefined) return;
  defaultPodSpec(spec);
  spec.enableServiceLinks ??= true;
  spec.serviceAccountName ||= spec.serviceAccount || "default";
  spec.serviceAccount = spec.serviceAccountName;
  spec.priority ??= 0;
  spec.preemptionPolicy ||= "PreemptLowerPriority";
  for (const { container } of podContainers(spec, lastingRoles)) defaultPodContainer(container, spec.hostNetwork === true);
  spec.tolerations = withDefaultTolerations(spec.tolerations ?? []);
}

/** Fills in, in place, what holds for every pod's spec, also that of a template. */
export function defaultPodSpec(spec: PodSpec): void {
  spec.restartPolicy ||= "Always";
  spec.dnsPolicy ||= "ClusterFirst";
  spec.terminationGracePeriodSeconds ??= DEFAULT_GRACE_SECONDS;
  spec.securityContext ??= {};
  spec.schedulerName ||= "default-scheduler";
  for (const { container } of podContainers(spec)) defaultContainer(container);
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
}

const notReady: Toleration = { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 };
const unreachable: Toleration = { ...notReady, key: "node.kubernetes.io/unreachable" };

function withDefaultTolerations(given: Toleration[]): Toleration[] {
  const covers = (wanted: Toleration): boolean =>
    given.some(({ key = "", effect }) => (key === wanted.key || key === "") && (effect === undefined || effect === wanted.effect));
  return [...given, ...[notReady, unreachable].filter((toleration) => !covers(toleration)).map((toleration) => ({ ...toleration }))];
}

function defaultContainer(container: Container | EphemeralContainer): void {
  container.imagePullPolicy ||= defaultPullPolicy(container.image ?? "");
  container.terminationMessagePath ||= "/dev/termination-log";
  container.terminationMessagePolicy ||= "File";
  container.resources ??= {};
  roundResources(container.resources.limits);
  roundResources(container.resources.requests);
  for (const port of container.ports ?? []) port.protocol ||= "TCP";
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.fieldRef !== undefined) valueFrom.fieldRef.apiVersion ||= "v1";
    if (valueFrom?.resourceFieldRef !== undefined) valueFrom.resourceFieldRef.divisor ??= "0";
  }
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
    if (probe !== undefined) defaultProbe(probe);
  }
  for (const handler of [container.lifecycle?.postStart, container.lifecycle?.preStop]) {
    if (handler?.httpGet !== undefined) defaultHttpGet(handler.httpGet);
  }
}

/** Fills in what holds for a pod's containers but not a template's. */
function defaultPodContainer(container: Container, isOnHostNetwork: boolean): void {
  const limits = container.resources?.limits;
  if (container.resources !== undefined && limits !== undefined && Object.keys(limits).length > 0) {
    container.resources.requests = { ...limits, ...container.resources.requests };
  }
  if (isOnHostNetwork) for (const port of container.ports ?? []) port.hostPort ||= port.containerPort;
}

const FILE_MODE = 0o644;
const TOKEN_SECONDS = 3600;

/** Fills in a volume's source, and the source's own defaults. */
function defaultVolume(volume: Volume): void {
  if (Object.keys(volume).every((name) => name === "name")) volume.emptyDir = {};
  if (volume.configMap !== undefined) volume.configMap.defaultMode ??= FILE_MODE;
  if (volume.secret !== undefined) volume.secret.defaultMode ??= FILE_MODE;
  if (volume.hostPath !== undefined) volume.hostPath.type ??= "";
  if (volume.image !== undefined) volume.image.pullPolicy ||= defaultPullPolicy(volume.image.reference ?? "");
  if (volume.downwardAPI !== undefined) {
    volume.downwardAPI.defaultMode ??= FILE_MODE;
    defaultDownwardItems(volume.downwardAPI.items);
  }
  if (volume.projected === undefined) return;
  volume.projected.defaultMode ??= FILE_MODE;
  for (const source of volume.projected.sources ?? []) {
    if (source.serviceAccountToken !== undefined) source.serviceAccountToken.expirationSeconds ??= TOKEN_SECONDS;
    defaultDownwardItems(source.downwardAPI?.items);
  }
}

/** Always for an image whose tag is latest or left out, else IfNotPresent. */
export function defaultPullPolicy(image: string): "Always" | "IfNotPresent" {
  const [name = "", digest] = image.split("@");
  const last = name.slice(name.lastIndexOf("/") + 1);
  const tag = last.includes(":") ? last.slice(last.indexOf(":") + 1) : digest === undefined ? "latest" : "";
  return tag === "latest" ? "Always" : "IfNotPresent";
}

function defaultProbe(probe: Probe): void {
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  if (probe.httpGet !== undefined) defaultHttpGet(probe.httpGet);
  if (probe.grpc !== undefined) probe.grpc.service ??= "";
}

function defaultHttpGet(action: HTTPGetAction): void {
  action.path ||= "/";
  action.scheme ||= "HTTP";
}

function defaultDownwardItems(items: DownwardAPIVolumeFile[] = []): void {
  for (const { fieldRef, resourceFieldRef } of items) {
    if (fieldRef !== undefined) fieldRef.apiVersion ||= "v1";
    if (resourceFieldRef !== undefined) resourceFieldRef.divisor ??= "0";
  }
}

/** Quantities of resources are kept in thousandths, rounded up. */
function roundResources(list: Record<string, string> = {}): void {
  for (const [name, text] of Object.entries(list)) {
    const quantity = parseQuantity(text);
    if (quantity !== undefined) list[name] = formatQuantity(roundUpToMilli(quantity));
  }
}
