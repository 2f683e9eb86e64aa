import { type FieldError, invalid, required, unsupported } from "../fields/field-error.ts";
import type { EnvFromSource, EnvVar, EnvVarSource, ObjectFieldSelector } from "../generated.ts";
import { configKey, qualifiedName, variableName } from "../values/names.ts";
import { validateResourceField } from "./validate-resource-field.ts";

const fieldPaths = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];
const knownPaths = [
  ...fieldPaths,
  "metadata.annotations",
  "metadata.labels",
  "spec.hostNetwork",
  "spec.restartPolicy",
  "spec.schedulerName",
  "status.phase",
];

/** The rules for a container's env. */
export function validateEnv(variables: readonly EnvVar[], path: string): FieldError[] {
  return variables.flatMap((variable, index) => {
    const at = `${path}[${index}]`;
    const name = variable.name ?? "";
    const errors = name === "" ? [required(`${at}.name`)] : variableName(name).map((why) => invalid(`${at}.name`, name, why));
    if (variable.valueFrom !== undefined) errors.push(...validateSource(variable.valueFrom, variable.value ?? "", `${at}.valueFrom`));
    return errors;
  });
}

/** The rules for a container's envFrom. */
export function validateEnvFrom(sources: readonly EnvFromSource[], path: string): FieldError[] {
  return sources.flatMap(({ prefix = "", configMapRef, secretRef }, index) => {
    const at = `${path}[${index}]`;
    const errors = prefix === "" ? [] : variableName(prefix).map((why) => invalid(`${at}.prefix`, prefix, why));
    if (configMapRef !== undefined && (configMapRef.name ?? "") === "") errors.push(required(`${at}.configMapRef.name`));
    if (secretRef !== undefined && (secretRef.name ?? "") === "") errors.push(required(`${at}.secretRef.name`));
    if (configMapRef === undefined && secretRef === undefined)
      errors.push(invalid(at, "", "must specify one of: `configMapRef` or `secretRef`"));
    if (configMapRef !== undefined && secretRef !== undefined)
      errors.push(invalid(at, "", "may not have more than one field specified at a time"));
    return errors;
  });
}

function validateSource(source: EnvVarSource, value: string, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (source.fieldRef !== undefined) errors.push(...validateFieldRef(source.fieldRef, `${path}.fieldRef`));
  if (source.resourceFieldRef !== undefined) errors.push(...validateResourceField(source.resourceFieldRef, `${path}.resourceFieldRef`));
  for (const name of ["configMapKeyRef", "secretKeyRef"] as const) {
    const reference = source[name];
    if (reference === undefined) continue;
    if ((reference.name ?? "") === "") errors.push(required(`${path}.${name}.name`));
    if ((reference.key ?? "") === "") errors.push(required(`${path}.${name}.key`));
    else errors.push(...configKey(reference.key).map((why) => invalid(`${path}.${name}.key`, reference.key, why)));
  }
  const count = Object.keys(source).length;
  if (count === 0)
    return [invalid(path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`")];
  if (value !== "") errors.push(invalid(path, "", "may not be specified when `value` is not empty"));
  if (count > 1) errors.push(invalid(path, "", "may not have more than one field specified at a time"));
  return errors;
}

function validateFieldRef({ apiVersion = "", fieldPath = "" }: Partial<ObjectFieldSelector>, path: string): FieldError[] {
  if (apiVersion === "") return [required(`${path}.apiVersion`)];
  if (fieldPath === "") return [required(`${path}.fieldPath`)];
  const subscript = /^(metadata\.(?:annotations|labels))\['(.*)'\]$/s.exec(fieldPath);
  if (subscript !== null) {
    const [, map = "", key = ""] = subscript;
    return qualifiedName(map.endsWith("annotations") ? key.toLowerCase() : key).map((why) => invalid(path, fieldPath, why));
  }
  if (fieldPaths.includes(fieldPath)) return [];
  if (knownPaths.includes(fieldPath)) return [unsupported(`${path}.fieldPath`, fieldPath, fieldPaths)];
  return [invalid(`${path}.fieldPath`, fieldPath, `error converting fieldPath: field label not supported: ${fieldPath}`)];
}
