import {
  accepted,
  ignore,
  isOneOf,
  never,
  refuse,
  refused,
  supported,
  type FieldRule,
  type TypeRules,
  type Verdict,
} from "./field-rule.ts";
import { isWhole, parseQuantity, quantityToNumber } from "../values/quantity.ts";
import { asList, asRecord } from "../values/json.ts";

const probe = "a container counts as started and ready as soon as it runs";

/** A container and the types that only it uses. */
export const containerRules: Readonly<Record<string, TypeRules>> = {
  Container: {
    args: supported(),
    command: supported(),
    env: supported(),
    envFrom: supported(),
    image: supported(),
    imagePullPolicy: supported(),
    lifecycle: refused("no hooks run, and the stop signal is the image's"),
    livenessProbe: refused(probe, never),
    name: supported(),
    ports: supported(),
    readinessProbe: refused(probe, never),
    resizePolicy: accepted("a running container's resources cannot be changed"),
    resources: supported(),
    restartPolicy: refused("the pod's own restartPolicy holds for all its containers"),
    restartPolicyRules: refused("the pod's own restartPolicy holds for all its containers"),
    securityContext: supported("most of it is refused for now"),
    startupProbe: refused(probe, never),
    stdin: supported(),
    stdinOnce: accepted("kubectl attach is not served yet, so nothing closes standard input"),
    terminationMessagePath: refused("termination messages are not read, so only the default is taken", isOneOf("", "/dev/termination-log")),
    terminationMessagePolicy: refused("termination messages are not read, so only the default is taken", isOneOf("", "File")),
    tty: supported(),
    volumeDevices: refused("there are no block volumes"),
    volumeMounts: supported(),
    workingDir: supported(),
  },
  ContainerPort: { containerPort: supported(), hostIP: supported(), hostPort: supported(), name: supported(), protocol: supported() },
  EnvVar: { name: supported(), value: supported(), valueFrom: supported() },
  EnvVarSource: {
    configMapKeyRef: supported(),
    fieldRef: supported(),
    fileKeyRef: refused("use a ConfigMap or a Secret"),
    resourceFieldRef: supported(),
    secretKeyRef: supported(),
  },
  ConfigMapKeySelector: { key: supported(), name: supported(), optional: supported() },
  SecretKeySelector: { key: supported(), name: supported(), optional: supported() },
  ResourceFieldSelector: { containerName: supported(), divisor: supported(), resource: supported() },
  ObjectFieldSelector: { apiVersion: supported(), fieldPath: supported() },
  EnvFromSource: { configMapRef: supported(), prefix: supported(), secretRef: supported() },
  ConfigMapEnvSource: { name: supported(), optional: supported() },
  SecretEnvSource: { name: supported(), optional: supported() },
  ResourceRequirements: { claims: refused("there are no devices to claim"), limits: amounts(), requests: amounts() },
  SecurityContext: {
    allowPrivilegeEscalation: supported("true, the default", (value) =>
      value === false ? refuse("false is not supported yet: containers may gain privileges by setuid programs") : undefined,
    ),
    appArmorProfile: supported(),
    capabilities: refused("containers get the usual default capabilities", (value) =>
      Object.values(asRecord(value) ?? {}).every((list) => asList(list).length === 0),
    ),
    privileged: refused("no container gets the host's devices"),
    procMount: supported("Default", (value) =>
      value === "Unmasked" ? refuse("Unmasked is not supported yet: parts of /proc are always masked") : undefined,
    ),
    readOnlyRootFilesystem: refused("a container can always write to its own root"),
    runAsGroup: refused("a container runs as its image says"),
    runAsNonRoot: refused("a container runs as its image says, and nothing checks who that is"),
    runAsUser: refused("a container runs as its image says"),
    seLinuxOptions: refused("containers run without an SELinux label"),
    seccompProfile: supported(),
    windowsOptions: refused("only linux runs here"),
  },
  VolumeMount: {
    mountPath: supported(),
    mountPropagation: supported("None, the default", (value) =>
      value === "None" || value === ""
        ? undefined
        : refuse(`${String(value)} is not supported yet: mounts made later do not travel between host and container`),
    ),
    name: supported(),
    readOnly: supported(),
    recursiveReadOnly: supported("Disabled, the default", (value) =>
      value === "Disabled" || value === ""
        ? undefined
        : refuse(`${String(value)} is not supported yet: mounts below the volume keep what they allow`),
    ),
    subPath: supported(),
    subPathExpr: supported(),
  },
};

/** Limits and requests: which resources mean something here. */
function amounts(): FieldRule {
  return { ...supported("cpu and memory; ephemeral-storage has no effect; any other is refused"), judgeEntry: judgeResource };
}

function judgeResource(name: string, amount: unknown): Verdict | undefined {
  if (name === "cpu") return undefined;
  if (name === "memory") return judgeBytes(String(amount));
  if (name === "ephemeral-storage") return ignore("has no effect: disk space is not limited yet");
  return refuse(
    name.startsWith("hugepages-")
      ? "is not supported yet: there are no huge pages for containers"
      : "is not supported yet: the node has no such resource",
  );
}

/** In upstream's words first. Who writes 400m of memory hardly means less than a byte. */
function judgeBytes(amount: string): Verdict | undefined {
  const quantity = parseQuantity(amount);
  if (quantity === undefined || isWhole(quantity)) return undefined;
  const bytes = quantityToNumber(amount);
  const meant = /^\d+m$/.test(amount) ? `: did you mean ${amount}`.replace(/m$/, "Mi?") : "";
  return ignore(
    `fractional byte value ${JSON.stringify(amount)} is invalid, must be an integer; it counts as ${bytes} byte${bytes === 1 ? "" : "s"}${meant}`,
  );
}
