import { type FieldError, prohibited } from "../fields/field-error.ts";
import type { PodTemplateSpec } from "../generated.ts";
import { validateAnnotations, validateLabels } from "../objects/validate-metadata.ts";
import { validatePodSpec } from "./validate-pod.ts";

/** The rules for a template of pods that stands at `path`. */
export function validatePodTemplate({ metadata = {}, spec = { containers: [] } }: PodTemplateSpec, path: string): FieldError[] {
  const errors = [
    ...validateLabels(metadata.labels, `${path}.labels`), // without "metadata", as upstream says it
    ...validateAnnotations(metadata.annotations, `${path}.annotations`),
    ...validatePodSpec(spec, `${path}.spec`),
  ];
  if ((spec.ephemeralContainers ?? []).length > 0)
    errors.push(prohibited(`${path}.spec.ephemeralContainers`, "ephemeral containers not allowed in pod template"));
  return errors;
}
