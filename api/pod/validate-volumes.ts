import { duplicate, type FieldError, invalid, prohibited, required, unsupported } from "../fields/field-error.ts";
import type { EmptyDirVolumeSource, HostPathVolumeSource, KeyToPath, Volume } from "../generated.ts";
import { configKey, labelName } from "../values/names.ts";
import { parseQuantity } from "../values/quantity.ts";

const LARGEST_FILE_MODE = 0o777;
const hostPathTypes = ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/** The rules for a pod's volumes. */
export function validateVolumes(volumes: readonly Volume[], path: string): FieldError[] {
  const names = new Set<string>();
  return volumes.flatMap((volume, index) => {
    const at = `${path}[${index}]`;
    const name = volume.name ?? "";
    const errors = validateSource(volume, at);
    if (name === "") errors.push(required(`${at}.name`));
    else errors.push(...labelName(name).map((why) => invalid(`${at}.name`, name, why)));
    if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
    names.add(name);
    return errors;
  });
}

/** The rule for a path inside a volume. */
export function descendingPath(text: string, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (text.startsWith("/")) errors.push(invalid(path, text, "must be a relative path"));
  return [...errors, ...noBacksteps(text, path)];
}

function validateSource(volume: Volume, path: string): FieldError[] {
  const [first, ...more] = Object.keys(volume).filter((name) => name !== "name");
  if (first === undefined) return [required(path, "must specify a volume type")];
  const errors = more.map((name) => prohibited(`${path}.${name}`, "may not specify more than 1 volume type"));
  const { emptyDir, hostPath, configMap, secret } = volume;
  if (emptyDir !== undefined) errors.push(...validateEmptyDir(emptyDir, `${path}.emptyDir`));
  if (hostPath !== undefined) errors.push(...validateHostPath(hostPath, `${path}.hostPath`));
  if (configMap !== undefined) {
    if ((configMap.name ?? "") === "") errors.push(required(`${path}.configMap.name`));
    errors.push(...validateFiles(configMap, `${path}.configMap`));
  }
  if (secret !== undefined) {
    if ((secret.secretName ?? "") === "") errors.push(required(`${path}.secret.secretName`));
    errors.push(...validateFiles(secret, `${path}.secret`));
  }
  return errors;
}

function validateEmptyDir({ medium = "", sizeLimit }: EmptyDirVolumeSource, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (medium !== "" && medium !== "Memory" && !medium.startsWith("HugePages"))
    errors.push(unsupported(`${path}.medium`, medium, ["", "HugePages", "Memory"]));
  if (sizeLimit !== undefined && (parseQuantity(sizeLimit)?.nanos ?? -1n) < 0n) {
    errors.push(prohibited(`${path}.sizeLimit`, "SizeLimit field must be a valid resource quantity"));
  }
  return errors;
}

function validateHostPath({ path: hostPath = "", type = "" }: Partial<HostPathVolumeSource>, path: string): FieldError[] {
  if (hostPath === "") return [required(`${path}.path`)];
  const errors = noBacksteps(hostPath, `${path}.path`);
  if (!hostPathTypes.includes(type)) errors.push(unsupported(`${path}.type`, type, hostPathTypes));
  return errors;
}

function validateFiles({ defaultMode, items }: { defaultMode?: number; items?: KeyToPath[] }, path: string): FieldError[] {
  const errors = validateMode(defaultMode, `${path}.defaultMode`);
  for (const [index, item] of (items ?? []).entries()) {
    const at = `${path}.items[${index}]`;
    if ((item.key ?? "") === "") errors.push(required(`${at}.key`));
    else errors.push(...configKey(item.key).map((why) => invalid(`${at}.key`, item.key, why)));
    if ((item.path ?? "") === "") errors.push(required(`${at}.path`));
    else errors.push(...descendingPath(item.path, `${at}.path`), ...noHiddenStart(item.path, `${at}.path`));
    errors.push(...validateMode(item.mode, `${at}.mode`));
  }
  return errors;
}

function validateMode(mode: number | undefined, path: string): FieldError[] {
  if (mode === undefined || (mode >= 0 && mode <= LARGEST_FILE_MODE)) return [];
  return [invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive")];
}

function noBacksteps(text: string, path: string): FieldError[] {
  return text.split("/").includes("..") ? [invalid(path, text, "must not contain '..'")] : [];
}

/** `..data` and its like belong to the atomic swap. */
function noHiddenStart(text: string, path: string): FieldError[] {
  return text.startsWith("..") && !text.split("/").includes("..") ? [invalid(path, text, "must not start with '..'")] : [];
}
