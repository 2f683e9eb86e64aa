import { duplicate, type FieldError, invalid, prohibited, required, tooLong } from "../fields/field-error.ts";
import type { ObjectMeta, OwnerReference } from "../generated.ts";
import { equalJson } from "../values/json.ts";
import { labelName, labelValue, type NameRule, qualifiedName } from "../values/names.ts";

const MOST_ANNOTATION_BYTES = 256 * 1024;

/** The rules for every object's metadata. `rule` is that for its name. */
export function validateMetadata(metadata: ObjectMeta, options: { namespaced: boolean; rule: NameRule }): FieldError[] {
  const errors: FieldError[] = [];
  const { name = "", generateName = "", namespace = "" } = metadata;
  if (generateName !== "") {
    const prefix = generateName.endsWith("-") ? `${generateName.slice(0, -1)}a` : generateName;
    errors.push(...options.rule(prefix).map((why) => invalid("metadata.generateName", generateName, why)));
  }
  if (name === "") errors.push(required("metadata.name", "name or generateName is required"));
  else errors.push(...nameErrors(name, options.rule));
  if (!options.namespaced && namespace !== "") errors.push(prohibited("metadata.namespace", "not allowed on this type"));
  if (options.namespaced && namespace === "") errors.push(required("metadata.namespace"));
  if (options.namespaced && namespace !== "")
    errors.push(...labelName(namespace).map((why) => invalid("metadata.namespace", namespace, why)));
  errors.push(...validateLabels(metadata.labels, "metadata.labels"), ...validateAnnotations(metadata.annotations, "metadata.annotations"));
  errors.push(...validateOwners(metadata.ownerReferences ?? []));
  for (const [index, finalizer] of (metadata.finalizers ?? []).entries())
    errors.push(...finalizerErrors(finalizer, `metadata.finalizers[${index}]`));
  return errors;
}

/** The rules for a change of metadata. What the new one leaves out (uid, times) the server fills in from the old one. */
export function validateMetadataUpdate(metadata: ObjectMeta, old: ObjectMeta): FieldError[] {
  const errors: FieldError[] = [];
  const fixed = ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] as const;
  for (const name of fixed) {
    const [now, before] = [metadata[name], old[name]];
    if (now !== undefined && before !== undefined && !equalJson(now, before))
      errors.push(invalid(`metadata.${name}`, now, "field is immutable"));
  }
  if (old.deletionTimestamp !== undefined) {
    const known = new Set(old.finalizers);
    const added = (metadata.finalizers ?? []).filter((finalizer) => !known.has(finalizer));
    if (added.length > 0) {
      const list = added.map((finalizer) => JSON.stringify(finalizer)).join(", ");
      errors.push(
        prohibited(
          "metadata.finalizers",
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`,
        ),
      );
    }
  }
  return errors;
}

/** The rules for labels, and for what is written like them (nodeSelector). */
export function validateLabels(labels: Readonly<Record<string, string>> = {}, path: string): FieldError[] {
  return Object.entries(labels).flatMap(([key, value]) => [
    ...qualifiedName(key).map((why) => invalid(path, key, why)),
    ...labelValue(value).map((why) => invalid(path, value, why)),
  ]);
}

/** The rule for a field that never changes. */
export function validateImmutable(now: unknown, before: unknown, path: string): FieldError[] {
  return equalJson(now, before) ? [] : [invalid(path, now, "field is immutable")];
}

function nameErrors(name: string, rule: NameRule): FieldError[] {
  if (name === "." || name === "..") return [invalid("metadata.name", name, `may not be '${name}'`)];
  return rule(name).map((why) => invalid("metadata.name", name, why));
}

/** The rules for annotations. */
export function validateAnnotations(annotations: Readonly<Record<string, string>> = {}, path: string): FieldError[] {
  const errors = Object.keys(annotations).flatMap((key) => qualifiedName(key.toLowerCase()).map((why) => invalid(path, key, why)));
  const encoder = new TextEncoder();
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) bytes += encoder.encode(key).length + encoder.encode(value).length;
  return bytes > MOST_ANNOTATION_BYTES ? [...errors, tooLong(path, MOST_ANNOTATION_BYTES)] : errors;
}

function validateOwners(owners: readonly OwnerReference[]): FieldError[] {
  const errors: FieldError[] = [];
  const uids = new Set<string>();
  for (const [index, owner] of owners.entries()) {
    const path = `metadata.ownerReferences[${index}]`;
    for (const name of ["apiVersion", "kind", "name", "uid"] as const) {
      if ((owner[name] ?? "") === "") errors.push(invalid(`${path}.${name}`, owner[name] ?? "", "must not be empty"));
    }
    if (uids.has(owner.uid)) errors.push(duplicate(`${path}.uid`, owner.uid));
    uids.add(owner.uid);
  }
  const controllers = owners.filter(({ controller }) => controller === true);
  if (controllers.length < 2) return errors;
  const names = controllers.slice(0, 2).map(({ kind, name }) => `${kind}/${name}`);
  const why = `Only one reference can have Controller set to true. Found "true" in references for ${names.join(" and ")}`;
  return [...errors, invalid("metadata.ownerReferences", owners, why)];
}

function finalizerErrors(finalizer: string, path: string): FieldError[] {
  const errors = qualifiedName(finalizer).map((why) => invalid(path, finalizer, why));
  const isStandard = finalizer.includes("/") || ["kubernetes", "orphan", "foregroundDeletion"].includes(finalizer);
  return errors.length > 0 || isStandard
    ? errors
    : [invalid(path, finalizer, "name is neither a standard finalizer name nor is it fully qualified")];
}
