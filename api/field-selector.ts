import type { KubeObject, Resource } from "./resources.ts";
/** One condition of a field selector. */
export interface FieldRequirement {
  readonly field: string;
  readonly equal: boolean;
  readonly value: string;
}
/** Reads `metadata.name=web,status.phase!=Running` for a resource. Throws SelectorError, also for a field that the resource cannot be selected by. */
export function parseFieldSelector(_text: string, _resource: Resource): FieldRequirement[] {
  throw new Error("Not written yet");
}
/** Tells whether an object fulfils a field selector. */
export function matchesFields(_selector: readonly FieldRequirement[], _object: KubeObject): boolean {
  throw new Error("Not written yet");
}
