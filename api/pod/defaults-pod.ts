import type { Container, DownwardAPIVolumeFile, EphemeralContainer, HTTPGetAction, Probe, Volume } from "../generated.ts";
import { formatQuantity, parseQuantity, roundUpToMilli } from "../values/quantity.ts";

/** Fills in what holds for every container, also of a template. */
export function defaultContainer(container: Container | EphemeralContainer): void {
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
export function defaultPodContainer(container: Container, isOnHostNetwork: boolean): void {
  const limits = container.resources?.limits;
  if (container.resources !== undefined && limits !== undefined && Object.keys(limits).length > 0) {
    container.resources.requests = { ...limits, ...container.resources.requests };
  }
  if (isOnHostNetwork) for (const port of container.ports ?? []) port.hostPort ||= port.containerPort;
}

const FILE_MODE = 0o644;
const TOKEN_SECONDS = 3600;

/** Fills in a volume's source, and the source's own defaults. */
export function defaultVolume(volume: Volume): void {
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
