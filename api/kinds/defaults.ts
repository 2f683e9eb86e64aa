import { encodeBase64 } from "../values/base64.ts";
import { defaultContainer, defaultPodContainer, defaultVolume } from "../pod/defaults-pod.ts";
import type { Namespace, Node, Pod, Secret, Toleration } from "../generated.ts";
import { cloneJson } from "../values/json.ts";
import type { KubeObject } from "./resources.ts";

/**
 * The object with what upstream fills in on a write: its defaults, what a plain cluster's admission adds to a pod, and a
 * Secret's stringData moved to its data. Applied twice it changes nothing more; the object given is left as it was.
 */
export function applyDefaults<T extends KubeObject>(object: T): T {
  const copy = cloneJson(object);
  switch (copy.kind) {
    case "Pod":
      defaultPod(copy as unknown as Pod); // a decoded object's kind tells its type, here and below
      break;
    case "Secret":
      defaultSecret(copy as unknown as Secret);
      break;
    case "Namespace":
      defaultNamespace(copy as unknown as Namespace);
      break;
    case "Node":
      defaultNode(copy as unknown as Node);
      break;
    default:
  }
  return copy;
}

const DEFAULT_GRACE_SECONDS = 30;
const notReady: Toleration = { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 };
const unreachable: Toleration = { ...notReady, key: "node.kubernetes.io/unreachable" };

function defaultPod(pod: Pod): void {
  const spec = pod.spec;
  if (spec === undefined) return;
  spec.restartPolicy ||= "Always";
  spec.dnsPolicy ||= "ClusterFirst";
  spec.terminationGracePeriodSeconds ??= DEFAULT_GRACE_SECONDS;
  spec.securityContext ??= {};
  spec.schedulerName ||= "default-scheduler";
  spec.enableServiceLinks ??= true;
  spec.serviceAccountName ||= spec.serviceAccount || "default";
  spec.serviceAccount = spec.serviceAccountName;
  spec.priority ??= 0;
  spec.preemptionPolicy ||= "PreemptLowerPriority";
  const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
  for (const container of [...containers, ...(spec.ephemeralContainers ?? [])]) defaultContainer(container);
  for (const container of containers) defaultPodContainer(container, spec.hostNetwork === true);
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
  spec.tolerations = withDefaultTolerations(spec.tolerations ?? []);
}

function withDefaultTolerations(given: Toleration[]): Toleration[] {
  const covers = (wanted: Toleration): boolean =>
    given.some(({ key = "", effect }) => (key === wanted.key || key === "") && (effect === undefined || effect === wanted.effect));
  return [...given, ...[notReady, unreachable].filter((toleration) => !covers(toleration)).map((toleration) => ({ ...toleration }))];
}

function defaultSecret(secret: Secret): void {
  secret.type ||= "Opaque";
  if (secret.stringData === undefined) return;
  secret.data ??= {};
  for (const [key, text] of Object.entries(secret.stringData)) secret.data[key] = encodeBase64(text);
  delete secret.stringData;
}

function defaultNamespace(namespace: Namespace): void {
  const name = namespace.metadata.name ?? "";
  if (name !== "") namespace.metadata.labels = { ...namespace.metadata.labels, "kubernetes.io/metadata.name": name };
  namespace.status = { ...namespace.status, phase: namespace.status?.phase ?? "Active" };
}

function defaultNode(node: Node): void {
  const { capacity, allocatable } = node.status ?? {};
  if (node.status !== undefined && capacity !== undefined && allocatable === undefined) node.status.allocatable = { ...capacity };
}
