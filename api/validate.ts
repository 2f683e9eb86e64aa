import type { FieldError } from "./field-error.ts";
import type { KubeObject } from "./resources.ts";
/** Every rule of upstream's that a new object (with defaults) breaks. */
export function validate(_object: KubeObject): FieldError[] {
  throw new Error("Not written yet");
}
/** Every rule that a change from `old` to `object` breaks; those of `validate` too. `subresource` is "status" for a write of the status. */
export function validateUpdate(_object: KubeObject, _old: KubeObject, _subresource?: "status"): FieldError[] {
  throw new Error("Not written yet");
}
