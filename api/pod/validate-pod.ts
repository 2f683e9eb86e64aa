import { duplicate, type FieldError, invalid, required, unsupported } from "../fields/field-error.ts";
import type { HostAlias, Pod, PodSpec, Toleration } from "../generated.ts";
import { ipAddress, labelName, labelValue, qualifiedName, subdomainName } from "../values/names.ts";
import { podContainers } from "./containers.ts";
import { validateContainers, validateHostPorts } from "./validate-container.ts";
import { validateLabels } from "../objects/validate-metadata.ts";
import { validateVolumes } from "./validate-volumes.ts";

const restartPolicies = ["Always", "OnFailure", "Never"];
const dnsPolicies = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
const LARGEST_DEADLINE_SECONDS = 2 ** 31 - 1;

/** The rules for a pod's spec. */
export function validatePod(pod: Pod): FieldError[] {
  return validatePodSpec(pod.spec ?? {}, "spec");
}

/** The rules for a spec that stands at `path`, such as that of a template. */
export function validatePodSpec(spec: Partial<PodSpec>, path: string): FieldError[] {
  const volumes = new Set((spec.volumes ?? []).map(({ name }) => name));
  const errors = validateVolumes(spec.volumes ?? [], `${path}.volumes`);
  const applications = podContainers(spec, ["application"], path);
  if (applications.length === 0) errors.push(required(`${path}.containers`));
  errors.push(...validateContainers([...applications, ...podContainers(spec, ["init", "sidecar"], path)], volumes));
  errors.push(...validateHostPorts(applications), ...validatePolicies(spec, path), ...validateNames(spec, path));
  errors.push(...validateLabels(spec.nodeSelector, `${path}.nodeSelector`));
  errors.push(...validateTolerations(spec.tolerations ?? [], `${path}.tolerations`));
  errors.push(...validateHostAliases(spec.hostAliases ?? [], `${path}.hostAliases`));
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined && (deadline < 1 || deadline > LARGEST_DEADLINE_SECONDS)) {
    errors.push(invalid(`${path}.activeDeadlineSeconds`, deadline, `must be between 1 and ${LARGEST_DEADLINE_SECONDS}, inclusive`));
  }
  if (spec.shareProcessNamespace === true && spec.hostPID === true) {
    errors.push(invalid(`${path}.shareProcessNamespace`, true, "ShareProcessNamespace and HostPID cannot both be enabled"));
  }
  return errors;
}

function validatePolicies(spec: Partial<PodSpec>, path: string): FieldError[] {
  const { restartPolicy, dnsPolicy, hostNetwork } = spec;
  const errors: FieldError[] = [];
  if ((restartPolicy ?? "") === "") errors.push(required(`${path}.restartPolicy`));
  else if (!restartPolicies.includes(`${restartPolicy}`)) errors.push(unsupported(`${path}.restartPolicy`, restartPolicy, restartPolicies));
  if ((dnsPolicy ?? "") === "") errors.push(required(`${path}.dnsPolicy`));
  else if (!dnsPolicies.includes(`${dnsPolicy}`)) errors.push(unsupported(`${path}.dnsPolicy`, dnsPolicy, dnsPolicies));
  if (hostNetwork !== true) return errors;
  for (const { container, path: at } of podContainers(spec, ["application"], path)) {
    for (const [index, { hostPort, containerPort }] of (container.ports ?? []).entries()) {
      if (hostPort !== containerPort)
        errors.push(invalid(`${at}.ports[${index}].hostPort`, hostPort ?? 0, "must match `containerPort` when `hostNetwork` is true"));
    }
  }
  return errors;
}

function validateNames(spec: Partial<PodSpec>, at: string): FieldError[] {
  const { hostname = "", subdomain = "", nodeName = "", serviceAccountName = "", priorityClassName = "", imagePullSecrets = [] } = spec;
  const checked = [
    { path: `${at}.hostname`, text: hostname, rule: labelName },
    { path: `${at}.subdomain`, text: subdomain, rule: labelName },
    { path: `${at}.nodeName`, text: nodeName, rule: subdomainName },
    { path: `${at}.serviceAccountName`, text: serviceAccountName, rule: subdomainName },
    { path: `${at}.priorityClassName`, text: priorityClassName, rule: subdomainName },
  ];
  const errors = checked.flatMap(({ path, text, rule }) => (text === "" ? [] : rule(text).map((why) => invalid(path, text, why))));
  const names = new Set<string>();
  for (const [index, { name = "" }] of imagePullSecrets.entries()) {
    if (names.has(name)) errors.push(duplicate(`${at}.imagePullSecrets[${index}].name`, name));
    names.add(name);
  }
  return errors;
}

function validateTolerations(tolerations: readonly Toleration[], path: string): FieldError[] {
  return tolerations.flatMap(({ key = "", operator, value = "", effect, tolerationSeconds }, index) => {
    const at = `${path}[${index}]`;
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

function validateHostAliases(aliases: readonly HostAlias[], path: string): FieldError[] {
  return aliases.flatMap(({ ip = "", hostnames = [] }: Partial<HostAlias>, index) => [
    ...ipAddress(ip).map((why) => invalid(`${path}[${index}].ip`, ip, why)),
    ...hostnames.flatMap((hostname, at) =>
      subdomainName(hostname).map((why) => invalid(`${path}[${index}].hostnames[${at}]`, hostname, why)),
    ),
  ]);
}
