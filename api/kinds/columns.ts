import type { TableColumnDefinition } from "../generated.ts";
import { age } from "../values/durations.ts";
import type { KubeObject } from "./resource.ts";

/** A column of `kubectl get`; a `wide` one is shown with `-o wide`. */
export function column(title: string, description: string, options: { wide?: boolean; format?: string } = {}): TableColumnDefinition {
  return { name: title, type: "string", format: options.format ?? "", description, priority: options.wide === true ? 1 : 0 };
}

/** Columns that many kinds have. */
export const columns = {
  name: column("Name", "The object's name, unique in its namespace.", { format: "name" }),
  age: column("Age", "How long ago the object was created."),
  created: column("Created At", "When the object was created.", { format: "date" }),
} as const;

/** The cell of `columns.age`. */
export function ageOf({ metadata }: KubeObject, nowMs: number): string {
  return age(metadata.creationTimestamp, nowMs);
}

/** A cell for how many entries a map has. */
export function sizeOf(map: object | undefined): number {
  return Object.keys(map ?? {}).length;
}
