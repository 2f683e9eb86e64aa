import {
  type ConfigMap,
  type Container,
  type EnvFromSource,
  type EnvVar,
  expandVariables,
  type Pod,
  podContainers,
  quantityToMilli,
  quantityToNumber,
  type Secret,
} from "@peapod/api";
import { EngineError } from "../../errors.ts";

/** The objects that a pod's specification names; an absent one is not in the map. */
export interface References {
  readonly configMaps: ReadonlyMap<string, ConfigMap>;
  readonly secrets: ReadonlyMap<string, Secret>;
}

/** Where the values of a container's environment come from. */
export interface EnvironmentSources {
  readonly pod: Pod;
  readonly references: References;
  readonly podIP: string;
  readonly hostIP: string;
  /** What a limit that is not set counts as, for resourceFieldRef. */
  readonly allocatable: Readonly<Record<string, string>>;
}

export interface Environment {
  /** In the order of their definition. */
  readonly variables: Readonly<Record<string, string>>;
  /** Keys that envFrom skipped, as sentences. */
  readonly skipped: readonly string[];
}

/**
 * The environment that a container's specification gives: `envFrom` first, then `env`, where `$(NAME)` stands for what is
 * defined earlier. Throws CONTAINER_CONFIG_INVALID for what is missing and not optional, in upstream's words, and for a value that
 * would not arrive as it is: an OCI runtime takes the environment as JSON, in which bytes that are not UTF-8 have no place, and no
 * environment holds a NUL.
 */
export function containerEnvironment(container: Container, sources: EnvironmentSources): Environment {
  const variables = Object.create(null) as Record<string, string>; // a variable may be called __proto__
  const skipped: string[] = [];
  for (const source of container.envFrom ?? []) {
    const { entries, title } = envFromEntries(source, sources);
    const named = entries.map(([key, value]): [string, string] => [`${source.prefix ?? ""}${key}`, value]);
    const invalid = named.filter(([name]) => !isVariableName(name)).map(([name]) => name);
    for (const [name, value] of named) if (isVariableName(name)) variables[name] = value;
    if (invalid.length > 0)
      skipped.push(
        `Keys [${invalid.sort().join(", ")}] from the EnvFrom ${title} were skipped since they are considered invalid environment variable names.`,
      );
  }
  for (const variable of container.env ?? []) {
    const value = variableValue(container, variable, variables, sources);
    if (value !== undefined) variables[variable.name] = value;
  }
  for (const [name, value] of Object.entries(variables)) {
    if (value.includes("\0"))
      throw invalidConfig(`the value of environment variable ${name} contains a NUL character, which none can hold`);
  }
  return { variables, skipped };
}

/** Upstream's relaxed rule: printable ASCII but for `=`. */
function isVariableName(name: string): boolean {
  return /^[ -<>-~]+$/.test(name);
}

function envFromEntries(source: EnvFromSource, { pod, references }: EnvironmentSources): { entries: [string, string][]; title: string } {
  const namespace = pod.metadata.namespace ?? "";
  if (source.configMapRef !== undefined) {
    const { name = "", optional } = source.configMapRef;
    const found = references.configMaps.get(name);
    if (found === undefined && optional !== true) throw missing("configmap", name);
    return { entries: Object.entries(found?.data ?? {}), title: `configMap ${namespace}/${name}` };
  }
  const { name = "", optional } = source.secretRef ?? {};
  const found = references.secrets.get(name);
  if (found === undefined && optional !== true) throw missing("secret", name);
  const where = `Secret ${namespace}/${name}`;
  const entries = Object.entries(found?.data ?? {}).map(([key, value]): [string, string] => [key, decodeText(value, key, where)]);
  return { entries, title: `secret ${namespace}/${name}` };
}

function variableValue(
  container: Container,
  variable: EnvVar,
  earlier: Readonly<Record<string, string>>,
  sources: EnvironmentSources,
): string | undefined {
  const from = variable.valueFrom;
  if (from === undefined) return expandVariables(variable.value ?? "", earlier);
  const namespace = sources.pod.metadata.namespace ?? "";
  if (from.fieldRef !== undefined) return fieldValue(from.fieldRef.fieldPath, sources);
  if (from.resourceFieldRef !== undefined) return resourceValue(container, from.resourceFieldRef, sources);
  if (from.configMapKeyRef !== undefined) {
    const { name = "", key, optional } = from.configMapKeyRef;
    const found = sources.references.configMaps.get(name);
    const value = own(found?.data, key);
    if (value !== undefined || optional === true) return value;
    throw found === undefined ? missing("configmap", name) : invalidConfig(`couldn't find key ${key} in ConfigMap ${namespace}/${name}`);
  }
  if (from.secretKeyRef !== undefined) {
    const { name = "", key, optional } = from.secretKeyRef;
    const found = sources.references.secrets.get(name);
    const value = own(found?.data, key);
    if (value !== undefined) return decodeText(value, key, `Secret ${namespace}/${name}`);
    if (optional === true) return undefined;
    throw found === undefined ? missing("secret", name) : invalidConfig(`couldn't find key ${key} in Secret ${namespace}/${name}`);
  }
  throw invalidConfig(`Environment variable ${variable.name} has a source that is not supported`);
}

function missing(kind: "configmap" | "secret", name: string): EngineError {
  return invalidConfig(`${kind} "${name}" not found`);
}

function invalidConfig(message: string): EngineError {
  return new EngineError("CONTAINER_CONFIG_INVALID", message);
}

/** A key may be called "constructor". */
function own(map: Readonly<Record<string, string>> | undefined, key: string): string | undefined {
  return map !== undefined && Object.hasOwn(map, key) ? map[key] : undefined;
}

/** The text of a Secret's key. Never another one: a key or a password of random bytes would be wrong without a word. */
function decodeText(base64: string, key: string, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(base64, "base64"));
  } catch {
    throw invalidConfig(
      `key ${key} in ${where} is not UTF-8 text, so no environment variable can hold it unchanged: mount the Secret as a volume`,
    ); // the one thing a decoder throws for
  }
}

function fieldValue(path: string, { pod, podIP, hostIP }: EnvironmentSources): string {
  const keyed = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path);
  if (keyed !== null) return own(keyed[1] === "labels" ? pod.metadata.labels : pod.metadata.annotations, keyed[2] ?? "") ?? "";
  const fields: Readonly<Record<string, string | undefined>> = {
    "metadata.name": pod.metadata.name,
    "metadata.namespace": pod.metadata.namespace,
    "metadata.uid": pod.metadata.uid,
    "spec.nodeName": pod.spec?.nodeName,
    "spec.serviceAccountName": pod.spec?.serviceAccountName ?? "default",
    "status.podIP": podIP,
    "status.podIPs": podIP,
    "status.hostIP": hostIP,
    "status.hostIPs": hostIP,
  };
  const value = fields[path];
  if (value === undefined) throw invalidConfig(`unsupported fieldPath: ${path}`);
  return value;
}

function resourceValue(
  container: Container,
  reference: { containerName?: string; resource: string; divisor?: string },
  { pod, allocatable }: EnvironmentSources,
): string {
  const { containerName = "" } = reference;
  const target = containerName === "" ? container : podContainers(pod.spec).find(({ name }) => name === containerName)?.container;
  if (target === undefined) throw invalidConfig(`container ${containerName} not found`);
  const [kind, ...rest] = reference.resource.split(".");
  const resource = rest.join(".");
  const { limits, requests } = target.resources ?? {};
  const quantity = kind === "limits" ? (limits?.[resource] ?? allocatable[resource]) : (requests?.[resource] ?? limits?.[resource]);
  const isUnset = reference.divisor === undefined || quantityToNumber(reference.divisor) === 0;
  const divisor = isUnset ? "1" : (reference.divisor ?? "1");
  return String(Math.ceil(quantityToMilli(quantity ?? "0") / quantityToMilli(divisor)));
}
