import { accepted, isOneOf, refuse, refused, supported, supportedWhole, type TypeRules } from "./field-rule.ts";
import { asList, asRecord } from "../values/json.ts";

const placement = "there is one node, and every pod runs on it";

/** Pod, its spec, and the types that only the spec uses. */
export const podRules: Readonly<Record<string, TypeRules>> = {
  Pod: {
    apiVersion: supported(),
    kind: supported(),
    metadata: supported(),
    spec: supported(),
    status: supportedWhole("written by the engine"),
  },
  PodSpec: {
    activeDeadlineSeconds: refused("nothing ends a pod at its deadline"),
    affinity: accepted(placement),
    automountServiceAccountToken: accepted("no service account token is mounted into a pod"),
    containers: supported(),
    dnsConfig: refused("a pod's resolv.conf is made from the node's"),
    dnsPolicy: supported("ClusterFirst and Default, which are the same here: there is no cluster DNS", (value) =>
      value === "None" ? refuse("None is not supported yet: use ClusterFirst or Default") : undefined,
    ),
    enableServiceLinks: accepted("there are no Services to link to", isOneOf(true, false)),
    ephemeralContainers: refused("kubectl debug can add a copy of the pod instead (--copy-to)"),
    hostAliases: supported(),
    hostIPC: refused("a pod has an IPC namespace of its own"),
    hostNetwork: refused("a pod has a network of its own; publish ports with hostPort"),
    hostPID: refused("a pod cannot see the host's processes"),
    hostUsers: supported("true, the default", (value) =>
      value === false ? refuse("false is not supported yet: pods run without a user namespace") : undefined,
    ),
    hostname: supported(),
    hostnameOverride: refused("use hostname"),
    imagePullSecrets: accepted("credentials for registries come from the login files of Docker and Podman"),
    initContainers: refused("init containers and sidecars do not run yet"),
    nodeName: supported("a pod for another node waits for it"),
    nodeSelector: accepted(placement, (value) =>
      Object.entries(asRecord(value) ?? {}).every(([key, wanted]) => key === "kubernetes.io/os" && wanted === "linux"),
    ),
    os: supported(),
    overhead: accepted("it belongs to runtimeClassName, which is refused"),
    preemptionPolicy: accepted("no pod makes room for another", isOneOf("PreemptLowerPriority")),
    priority: accepted("no pod makes room for another", isOneOf(0)),
    priorityClassName: accepted("no pod makes room for another"),
    readinessGates: refused("a pod is Ready when its containers are"),
    resourceClaims: refused("there are no devices to claim"),
    resources: refused("put resources on the containers"),
    restartPolicy: supported(),
    runtimeClassName: refused("there is one runtime"),
    schedulerName: accepted(placement, isOneOf("", "default-scheduler")),
    schedulingGates: refused("nothing holds a pod back"),
    schedulingGroup: refused("pods are started one by one"),
    securityContext: supported("most of it is refused for now"),
    serviceAccount: accepted("an old name of serviceAccountName; no token is mounted", isOneOf("", "default")),
    serviceAccountName: accepted("no service account token is mounted into a pod; env can read the name", isOneOf("", "default")),
    setHostnameAsFQDN: refused("there is no cluster domain"),
    shareProcessNamespace: supported(),
    subdomain: accepted("there is no cluster DNS, so a pod has no name in it"),
    terminationGracePeriodSeconds: supported(),
    tolerations: accepted("the node has no taints", (value) => asList(value).every((toleration) => isDefaultToleration(toleration))),
    topologySpreadConstraints: accepted(placement),
    volumes: supported(),
  },
  HostAlias: { hostnames: supported(), ip: supported() },
  PodOS: { name: supported("linux", (value) => (value === "linux" || value === "" ? undefined : refuse("only linux runs here"))) },
  PodSecurityContext: {
    appArmorProfile: supported(),
    fsGroup: refused("a volume's files belong to whoever made them"),
    fsGroupChangePolicy: accepted("it belongs to fsGroup, which is refused"),
    runAsGroup: refused("a container runs as its image says"),
    runAsNonRoot: refused("a container runs as its image says, and nothing checks who that is"),
    runAsUser: refused("a container runs as its image says"),
    seLinuxChangePolicy: accepted("it belongs to seLinuxOptions, which is refused"),
    seLinuxOptions: refused("containers run without an SELinux label"),
    seccompProfile: supported(),
    supplementalGroups: refused("a container runs as its image says"),
    supplementalGroupsPolicy: supported("Merge, the default", (value) =>
      value === "Strict" ? refuse("Strict is not supported yet: groups come from the image") : undefined,
    ),
    sysctls: refused("a pod's network starts with the kernel's own settings"),
    windowsOptions: refused("only linux runs here"),
  },
  SeccompProfile: {
    localhostProfile: refused("every container gets the runtime's default profile"),
    type: supported("RuntimeDefault, which every container gets", (value) =>
      value === "RuntimeDefault" ? undefined : refuse(`${String(value)} is not supported yet: every container gets RuntimeDefault`),
    ),
  },
  AppArmorProfile: {
    localhostProfile: refused("containers run without an AppArmor profile"),
    type: supported("Unconfined, as every container is", (value) =>
      value === "Unconfined" ? undefined : refuse(`${String(value)} is not supported yet: containers run without an AppArmor profile`),
    ),
  },
};

/** Those that a cluster's admission adds to every pod. */
function isDefaultToleration(value: unknown): boolean {
  const { key, operator, effect } = asRecord(value) ?? {};
  return (
    operator === "Exists" && effect === "NoExecute" && (key === "node.kubernetes.io/not-ready" || key === "node.kubernetes.io/unreachable")
  );
}
