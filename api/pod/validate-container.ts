import { duplicate, type FieldError, invalid, missing, required, unsupported } from "../fields/field-error.ts";
import type { Container, ContainerPort, ResourceRequirements, VolumeMount } from "../generated.ts";
import { ipAddress, labelName, portName, portNumber, qualifiedName } from "../values/names.ts";
import { compareQuantities, parseQuantity } from "../values/quantity.ts";
import type { PodContainer } from "./containers.ts";
import { validateEnv, validateEnvFrom } from "./validate-env.ts";
import { descendingPath } from "./validate-volumes.ts";

type LastingContainer = Exclude<PodContainer, { role: "ephemeral" }>;

const protocols = ["SCTP", "TCP", "UDP"];
const pullPolicies = ["Always", "IfNotPresent", "Never"];
const messagePolicies = ["FallbackToLogsOnError", "File"];
const propagations = ["Bidirectional", "HostToContainer", "None"];

/** The rules for a pod's containers, whose names are unique together. `volumes` are the names of its volumes. */
export function validateContainers(containers: readonly LastingContainer[], volumes: ReadonlySet<string>): FieldError[] {
  const names = new Set<string>();
  return containers.flatMap(({ container, path }) => {
    const name = container.name ?? "";
    const errors = name === "" ? [required(`${path}.name`)] : labelName(name).map((why) => invalid(`${path}.name`, name, why));
    if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    return [...errors, ...validateContainer(container, volumes, path)];
  });
}

/** The rule that no two containers of a pod take the same port of the node. */
export function validateHostPorts(containers: readonly LastingContainer[]): FieldError[] {
  const taken = new Set<string>();
  return containers.flatMap(({ container, path }) =>
    (container.ports ?? []).flatMap(({ protocol = "TCP", hostIP = "", hostPort = 0 }, port) => {
      if (hostPort === 0) return [];
      const key = `${protocol}/${hostIP}/${hostPort}`;
      if (taken.has(key)) return [duplicate(`${path}.ports[${port}].hostPort`, key)];
      taken.add(key);
      return [];
    }),
  );
}

function validateContainer(container: Container, volumes: ReadonlySet<string>, path: string): FieldError[] {
  const { image = "", imagePullPolicy = "", terminationMessagePolicy = "" } = container;
  const errors: FieldError[] = [];
  if (image === "") errors.push(required(`${path}.image`));
  else if (image !== image.trim()) errors.push(invalid(`${path}.image`, image, "must not have leading or trailing whitespace"));
  if (imagePullPolicy === "") errors.push(required(`${path}.imagePullPolicy`));
  else if (!pullPolicies.includes(imagePullPolicy)) errors.push(unsupported(`${path}.imagePullPolicy`, imagePullPolicy, pullPolicies));
  if (terminationMessagePolicy === "") errors.push(required(`${path}.terminationMessagePolicy`));
  else if (!messagePolicies.includes(terminationMessagePolicy))
    errors.push(unsupported(`${path}.terminationMessagePolicy`, terminationMessagePolicy, messagePolicies));
  errors.push(...validatePorts(container.ports ?? [], `${path}.ports`));
  errors.push(...validateEnv(container.env ?? [], `${path}.env`), ...validateEnvFrom(container.envFrom ?? [], `${path}.envFrom`));
  errors.push(...validateMounts(container.volumeMounts ?? [], volumes, `${path}.volumeMounts`));
  if (container.resources !== undefined) errors.push(...validateResources(container.resources, `${path}.resources`));
  return errors;
}

function validatePorts(ports: readonly Partial<ContainerPort>[], path: string): FieldError[] {
  const names = new Set<string>();
  return ports.flatMap((port, index) => {
    const at = `${path}[${index}]`;
    const errors: FieldError[] = [];
    const { name = "", containerPort = 0, hostPort = 0, hostIP = "", protocol } = port;
    const wrong = name === "" ? [] : portName(name);
    errors.push(...wrong.map((why) => invalid(`${at}.name`, name, why)));
    if (name !== "" && wrong.length === 0 && names.has(name)) errors.push(duplicate(`${at}.name`, name));
    names.add(name);
    if (containerPort === 0) errors.push(required(`${at}.containerPort`));
    else errors.push(...portNumber(containerPort).map((why) => invalid(`${at}.containerPort`, containerPort, why)));
    if (hostPort !== 0) errors.push(...portNumber(hostPort).map((why) => invalid(`${at}.hostPort`, hostPort, why)));
    if (hostIP !== "") errors.push(...ipAddress(hostIP).map((why) => invalid(`${at}.hostIP`, hostIP, why)));
    if (protocol === undefined || `${protocol}` === "") errors.push(required(`${at}.protocol`));
    else if (!protocols.includes(protocol)) errors.push(unsupported(`${at}.protocol`, protocol, protocols));
    return errors;
  });
}

function validateMounts(mounts: readonly Partial<VolumeMount>[], volumes: ReadonlySet<string>, path: string): FieldError[] {
  const paths = new Set<string>();
  return mounts.flatMap((mount, index) => {
    const at = `${path}[${index}]`;
    const errors: FieldError[] = [];
    const { name = "", mountPath = "", subPath = "", subPathExpr = "", mountPropagation } = mount;
    if (name === "") errors.push(required(`${at}.name`));
    else if (!volumes.has(name)) errors.push(missing(`${at}.name`, name));
    if (mountPath === "") errors.push(required(`${at}.mountPath`));
    else if (paths.has(mountPath)) errors.push(invalid(`${at}.mountPath`, mountPath, "must be unique"));
    paths.add(mountPath);
    if (subPath !== "") errors.push(...descendingPath(subPath, `${at}.subPath`));
    if (subPathExpr !== "") errors.push(...descendingPath(subPathExpr, `${at}.subPathExpr`));
    if (subPath !== "" && subPathExpr !== "")
      errors.push(invalid(`${at}.subPathExpr`, subPathExpr, "subPathExpr and subPath are mutually exclusive"));
    if (mountPropagation !== undefined && !propagations.includes(mountPropagation))
      errors.push(unsupported(`${at}.mountPropagation`, mountPropagation, propagations));
    return errors;
  });
}

function validateResources({ limits = {}, requests = {} }: ResourceRequirements, path: string): FieldError[] {
  const errors = [...validateAmounts(limits, `${path}.limits`), ...validateAmounts(requests, `${path}.requests`)];
  for (const [name, text] of Object.entries(requests)) {
    const [request, limit] = [parseQuantity(text), parseQuantity(limits[name] ?? "")];
    if (request === undefined || limit === undefined) continue;
    if (isExtended(name) && compareQuantities(request, limit) !== 0) {
      errors.push(invalid(`${path}.requests`, text, `must be equal to ${name} limit of ${limits[name]}`));
    } else if (compareQuantities(request, limit) > 0) {
      errors.push(invalid(`${path}.requests`, text, `must be less than or equal to ${name} limit of ${limits[name]}`));
    }
  }
  return errors;
}

function validateAmounts(list: Readonly<Record<string, string>>, path: string): FieldError[] {
  return Object.entries(list).flatMap(([name, text]) => {
    const at = `${path}[${name}]`;
    const errors = qualifiedName(name).map((why) => invalid(at, name, why));
    const isStandard = ["cpu", "memory", "ephemeral-storage"].includes(name) || name.startsWith("hugepages-");
    if (errors.length === 0 && !isStandard && !name.includes("/"))
      errors.push(invalid(at, name, "must be a standard resource for containers"));
    const amount = parseQuantity(text);
    if (amount === undefined || amount.nanos < 0n) errors.push(invalid(at, text, "must be greater than or equal to 0"));
    else if (isExtended(name) && amount.nanos % 1_000_000_000n !== 0n) errors.push(invalid(at, text, "must be an integer"));
    return errors;
  });
}

/** Resources of which a request must equal its limit. */
function isExtended(name: string): boolean {
  return name.includes("/") || name.startsWith("hugepages-");
}
