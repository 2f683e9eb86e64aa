import { duplicate, type FieldError, invalid, required, unsupported } from "../fields/field-error.ts";
import type { HostAlias, Pod, PodSpec, Toleration } from "../generated.ts";
import { ipAddress, labelName, labelValue, qualifiedName, subdomainName } from "../values/names.ts";
import { validateContainers, validateHostPorts } from "./validate-container.ts";
import { validateLabels } from "../kinds/validate-metadata.ts";
import { validateVolumes } from "./validate-volumes.ts";

const restartPolicies = ["Always", "OnFailure", "Never"];
const dnsPolicies = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
const LARGEST_DEADLINE_SECONDS = 2 ** 31 - 1;

/** The rules for a pod's spec. */
export function validatePod(pod: Pod): FieldError[] {
  const spec: Partial<PodSpec> = pod.spec ?? {};
  const volumes = new Set((spec.volumes ?? []).map(({ name }) => name));
  const errors = validateVolumes(spec.volumes ?? [], "spec.volumes");
  const containers = spec.containers ?? [];
  if (containers.length === 0) errors.push(required("spec.containers"));
  errors.push(...validateContainers(containers, { volumes, taken: new Set() }, "spec.containers"));
  const taken = new Set(containers.map(({ name }) => name));
  errors.push(...validateContainers(spec.initContainers ?? [], { volumes, taken }, "spec.initContainers"));
  errors.push(...validateHostPorts(containers, "spec.containers"), ...validatePolicies(spec), ...validateNames(spec));
  errors.push(...validateLabels(spec.nodeSelector, "spec.nodeSelector"), ...validateTolerations(spec.tolerations ?? []));
  errors.push(...validateHostAliases(spec.hostAliases ?? []));
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined && (deadline < 1 || deadline > LARGEST_DEADLINE_SECONDS)) {
    errors.push(invalid("spec.activeDeadlineSeconds", deadline, `must be between 1 and ${LARGEST_DEADLINE_SECONDS}, inclusive`));
  }
  if (spec.shareProcessNamespace === true && spec.hostPID === true) {
    errors.push(invalid("spec.shareProcessNamespace", true, "ShareProcessNamespace and HostPID cannot both be enabled"));
  }
  return errors;
}

function validatePolicies({ restartPolicy, dnsPolicy, hostNetwork, containers = [] }: Partial<PodSpec>): FieldError[] {
  const errors: FieldError[] = [];
  if ((restartPolicy ?? "") === "") errors.push(required("spec.restartPolicy"));
  else if (!restartPolicies.includes(`${restartPolicy}`)) errors.push(unsupported("spec.restartPolicy", restartPolicy, restartPolicies));
  if ((dnsPolicy ?? "") === "") errors.push(required("spec.dnsPolicy"));
  else if (!dnsPolicies.includes(`${dnsPolicy}`)) errors.push(unsupported("spec.dnsPolicy", dnsPolicy, dnsPolicies));
  if (hostNetwork !== true) return errors;
  for (const [index, container] of containers.entries()) {
    for (const [at, { hostPort, containerPort }] of (container.ports ?? []).entries()) {
      const path = `spec.containers[${index}].ports[${at}].hostPort`;
      if (hostPort !== containerPort) errors.push(invalid(path, hostPort ?? 0, "must match `containerPort` when `hostNetwork` is true"));
    }
  }
  return errors;
}

function validateNames({
  hostname = "",
  subdomain = "",
  nodeName = "",
  serviceAccountName = "",
  priorityClassName = "",
  imagePullSecrets = [],
}: Partial<PodSpec>): FieldError[] {
  const checked = [
    { path: "spec.hostname", text: hostname, rule: labelName },
    { path: "spec.subdomain", text: subdomain, rule: labelName },
    { path: "spec.nodeName", text: nodeName, rule: subdomainName },
    { path: "spec.serviceAccountName", text: serviceAccountName, rule: subdomainName },
    { path: "spec.priorityClassName", text: priorityClassName, rule: subdomainName },
  ];
  const errors = checked.flatMap(({ path, text, rule }) => (text === "" ? [] : rule(text).map((why) => invalid(path, text, why))));
  const names = new Set<string>();
  for (const [index, { name = "" }] of imagePullSecrets.entries()) {
    if (names.has(name)) errors.push(duplicate(`spec.imagePullSecrets[${index}].name`, name));
    names.add(name);
  }
  return errors;
}

function validateTolerations(tolerations: readonly Toleration[]): FieldError[] {
  return tolerations.flatMap(({ key = "", operator, value = "", effect, tolerationSeconds }, index) => {
    const at = `spec.tolerations[${index}]`;
    const errors = key === "" ? [] : qualifiedName(key).map((why) => invalid(`${at}.key`, key, why));
    if (key === "" && operator !== "Exists") {
      errors.push(
        invalid(
          `${at}.operator`,
          operator ?? "",
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      );
    }
    if (tolerationSeconds !== undefined && effect !== "NoExecute") {
      errors.push(invalid(`${at}.effect`, effect ?? "", "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    }
    if (operator === "Exists" && value !== "")
      errors.push(invalid(`${at}.operator`, value, "value must be empty when `operator` is 'Exists'"));
    if (operator === undefined || operator === "Equal")
      errors.push(...labelValue(value).map((why) => invalid(`${at}.operator`, value, why)));
    if (operator !== undefined && !["Equal", "Exists", "Lt", "Gt"].includes(operator))
      errors.push(unsupported(`${at}.operator`, operator, ["Equal", "Exists"]));
    if (effect !== undefined && !["NoSchedule", "PreferNoSchedule", "NoExecute", ""].includes(effect)) {
      errors.push(unsupported(`${at}.effect`, effect, ["NoSchedule", "PreferNoSchedule", "NoExecute"]));
    }
    return errors;
  });
}

function validateHostAliases(aliases: readonly HostAlias[]): FieldError[] {
  return aliases.flatMap(({ ip = "", hostnames = [] }: Partial<HostAlias>, index) => [
    ...ipAddress(ip).map((why) => invalid(`spec.hostAliases[${index}].ip`, ip, why)),
    ...hostnames.flatMap((hostname, at) =>
      subdomainName(hostname).map((why) => invalid(`spec.hostAliases[${index}].hostnames[${at}]`, hostname, why)),
    ),
  ]);
}
