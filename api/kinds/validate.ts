import { type FieldError, invalid, required } from "../fields/field-error.ts";
import type { ConfigMap, Event, Lease, Pod, Secret } from "../generated.ts";
import { labelName, subdomainName } from "../values/names.ts";
import type { KubeObject } from "./resources.ts";
import { resources } from "./resources.ts";
import { validateConfigMap, validateConfigMapUpdate, validateSecret, validateSecretUpdate } from "./validate-config.ts";
import { validateMetadata, validateMetadataUpdate } from "./validate-metadata.ts";
import { validatePod } from "../pod/validate-pod.ts";
import { validatePodUpdate } from "../pod/validate-pod-update.ts";

/**
 * Every rule of upstream's that a new object breaks: decoded, with defaults, and with its namespace and name filled in.
 * Rules of fields that checkSupport refuses are not here.
 */
export function validate(object: KubeObject): FieldError[] {
  return [...validateOwnMetadata(object), ...validateContent(object)];
}

/** Every rule that a change from `old` to `object` breaks; those of `validate` too. `subresource` is "status" for a write of the status. */
export function validateUpdate(object: KubeObject, old: KubeObject, subresource?: "status"): FieldError[] {
  const errors = validateMetadataUpdate(object.metadata, old.metadata);
  // What was allowed once stays so: an engine that learns a new rule must not lock its old pods.
  const check = subresource === "status" ? validateOwnMetadata : validate;
  const before = new Set(check(old).map(({ message }) => message));
  const fresh = check(object).filter(({ message }) => !before.has(message));
  return subresource === "status" ? [...errors, ...fresh] : [...errors, ...validateChange(object, old), ...fresh];
}

function validateOwnMetadata(object: KubeObject): FieldError[] {
  const namespaced = resources.find(({ kind }) => kind === object.kind)?.namespaced ?? true;
  const rule = object.kind === "Namespace" ? labelName : subdomainName;
  return validateMetadata(object.metadata, { namespaced, rule });
}

function validateContent(object: KubeObject): FieldError[] {
  switch (object.kind) {
    case "Pod":
      return validatePod(object as Pod); // a decoded object's kind tells its type, here and below
    case "ConfigMap":
      return validateConfigMap(object as ConfigMap);
    case "Secret":
      return validateSecret(object as Secret);
    case "Event":
      return validateEvent(object as Event);
    case "Lease":
      return validateLease(object as Lease);
    default:
      return [];
  }
}

function validateChange(object: KubeObject, old: KubeObject): FieldError[] {
  switch (object.kind) {
    case "Pod":
      return validatePodUpdate(object as Pod, old as Pod);
    case "ConfigMap":
      return validateConfigMapUpdate(object as ConfigMap, old as ConfigMap);
    case "Secret":
      return validateSecretUpdate(object as Secret, old as Secret);
    default:
      return [];
  }
}

function validateEvent(event: Event): FieldError[] {
  const namespace = event.involvedObject?.namespace ?? "";
  if (event.involvedObject === undefined) return [required("involvedObject")];
  if (namespace === event.metadata.namespace || (namespace === "" && event.metadata.namespace === "default")) return [];
  return [invalid("involvedObject.namespace", namespace, "does not match event.namespace")];
}

function validateLease({ spec = {} }: Lease): FieldError[] {
  const errors: FieldError[] = [];
  const { leaseDurationSeconds, leaseTransitions } = spec;
  if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0)
    errors.push(invalid("spec.leaseDurationSeconds", leaseDurationSeconds, "must be greater than 0"));
  if (leaseTransitions !== undefined && leaseTransitions < 0)
    errors.push(invalid("spec.leaseTransitions", leaseTransitions, "must be greater than or equal to 0"));
  return errors;
}
