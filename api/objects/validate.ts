import type { FieldError } from "../fields/field-error.ts";
import { subdomainName } from "../values/names.ts";
import type { KubeObject } from "../kinds/resource.ts";
import { resourceOf } from "../kinds/resources.ts";
import { validateMetadata, validateMetadataUpdate } from "./validate-metadata.ts";

/**
 * Every rule of upstream's that a new object breaks: decoded, with defaults, and with its namespace and name filled in.
 * Rules of fields that checkSupport refuses are not here.
 */
export function validate(object: KubeObject): FieldError[] {
  return [...validateOwnMetadata(object), ...(resourceOf(object)?.validate(object) ?? [])];
}

/** Every rule that a change from `old` to `object` breaks; those of `validate` too. A write of a `subresource` is judged by its metadata alone. */
export function validateUpdate(object: KubeObject, old: KubeObject, subresource?: string): FieldError[] {
  const errors = validateMetadataUpdate(object.metadata, old.metadata);
  // What was allowed once stays so: an engine that learns a new rule must not lock its old pods.
  const check = subresource === undefined ? validate : validateOwnMetadata;
  const before = new Set(check(old).map(({ message }) => message));
  const fresh = check(object).filter(({ message }) => !before.has(message));
  return subresource === undefined
    ? [...errors, ...(resourceOf(object)?.validateUpdate(object, old) ?? []), ...fresh]
    : [...errors, ...fresh];
}

function validateOwnMetadata(object: KubeObject): FieldError[] {
  const { namespaced = true, nameRule = subdomainName } = resourceOf(object) ?? {};
  return validateMetadata(object.metadata, { namespaced, rule: nameRule });
}
