import type { KubeObject, Resource } from "./resources.ts";
/** `refused`: an error; `accepted`: taken, has no effect, a Warning says so. */
export type Support = "supported" | "accepted" | "refused";
/** One field of a kind, as `peapod fields` shows it. */
export interface FieldEntry {
  /** `spec.containers[].image` */
  readonly path: string;
  readonly type: string;
  readonly support: Support;
  readonly note: string;
}
/** What to tell whoever wrote this object. */
export interface SupportReport {
  readonly warnings: readonly { path: string; message: string }[];
  readonly refusals: readonly { path: string; message: string }[];
}
/** Every field of a kind, in the order of their paths; below a field that is accepted or refused as a whole nothing more is listed. */
export function listFields(_resource: Resource): FieldEntry[] {
  throw new Error("Not written yet");
}
/** What of this decoded object has no effect here, and what is refused. `message` stands without the path. */
export function checkSupport(_object: KubeObject): SupportReport {
  throw new Error("Not written yet");
}
