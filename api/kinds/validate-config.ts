import { base64Length, decodeBase64 } from "../values/base64.ts";
import { type FieldError, invalid, prohibited, required, tooLong } from "../fields/field-error.ts";
import type { ConfigMap, Secret } from "../generated.ts";
import { equalJson, isRecord } from "../values/json.ts";
import { configKey } from "../values/names.ts";
import { validateImmutable } from "../objects/validate-metadata.ts";

const MOST_BYTES = 1024 * 1024;
const fixed = "field is immutable when `immutable` is set";

/** The rules for a ConfigMap. */
export function validateConfigMap({ data = {}, binaryData = {} }: ConfigMap): FieldError[] {
  const errors = [...validateKeys(Object.keys(data), "data"), ...validateKeys(Object.keys(binaryData), "binaryData")];
  for (const key of Object.keys(data)) {
    if (Object.hasOwn(binaryData, key)) errors.push(invalid(`data[${key}]`, key, "duplicate of key present in binaryData"));
  }
  const encoder = new TextEncoder();
  const textBytes = Object.values(data).reduce((sum, text) => sum + encoder.encode(text).length, 0);
  const bytes = Object.values(binaryData).reduce((sum, text) => sum + base64Length(text), textBytes);
  return bytes > MOST_BYTES ? [...errors, tooLong("[]", MOST_BYTES)] : errors;
}

/** The rules for a change of a ConfigMap. */
export function validateConfigMapUpdate(now: ConfigMap, old: ConfigMap): FieldError[] {
  return old.immutable === true ? validateFrozen(now, old, ["data", "binaryData"]) : [];
}

/** The rules for a Secret, with those that its type brings. */
export function validateSecret(secret: Secret): FieldError[] {
  const { data = {}, type = "Opaque", metadata } = secret;
  const errors = validateKeys(Object.keys(data), "data");
  const bytes = Object.values(data).reduce((sum, text) => sum + base64Length(text), 0);
  if (bytes > MOST_BYTES) errors.push(tooLong("data", MOST_BYTES));
  const lacking = (keys: readonly string[]): FieldError[] =>
    keys.filter((key) => !Object.hasOwn(data, key)).map((key) => required(`data[${key}]`));
  switch (type) {
    case "kubernetes.io/dockerconfigjson":
      return [...errors, ...validateJsonKey(data, ".dockerconfigjson")];
    case "kubernetes.io/dockercfg":
      return [...errors, ...validateJsonKey(data, ".dockercfg")];
    case "kubernetes.io/basic-auth":
      return Object.hasOwn(data, "username") || Object.hasOwn(data, "password")
        ? errors
        : [...errors, ...lacking(["username", "password"])];
    case "kubernetes.io/ssh-auth":
      return (data["ssh-privatekey"] ?? "") === "" ? [...errors, required("data[ssh-privatekey]")] : errors;
    case "kubernetes.io/tls":
      return [...errors, ...lacking(["tls.crt", "tls.key"])];
    case "kubernetes.io/service-account-token": {
      const account = metadata.annotations?.["kubernetes.io/service-account.name"] ?? "";
      return account === "" ? [...errors, required("metadata.annotations[kubernetes.io/service-account.name]")] : errors;
    }
    default:
      return errors;
  }
}

/** The rules for a change of a Secret. */
export function validateSecretUpdate(now: Secret, old: Secret): FieldError[] {
  const errors = validateImmutable(now.type ?? "Opaque", old.type ?? "Opaque", "type");
  return old.immutable === true ? [...errors, ...validateFrozen(now, old, ["data"])] : errors;
}

function validateFrozen<T extends { immutable?: boolean }>(now: T, old: T, names: readonly (keyof T & string)[]): FieldError[] {
  const errors = now.immutable === true ? [] : [prohibited("immutable", fixed)];
  for (const name of names) if (!equalJson(now[name] ?? {}, old[name] ?? {})) errors.push(prohibited(name, fixed));
  return errors;
}

function validateKeys(keys: readonly string[], path: string): FieldError[] {
  return keys.flatMap((key) => configKey(key).map((why) => invalid(`${path}[${key}]`, key, why)));
}

/** Says nothing of the content: it is a secret. */
function validateJsonKey(data: Readonly<Record<string, string>>, key: string): FieldError[] {
  const path = `data[${key}]`;
  const text = data[key];
  if (text === undefined) return [required(path)];
  const bytes = decodeBase64(text);
  return bytes !== undefined && isJsonObject(new TextDecoder().decode(bytes))
    ? []
    : [invalid(path, "<secret contents redacted>", "must be a JSON object")];
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value);
  } catch {
    return false; // not JSON: the answer to the question
  }
}
