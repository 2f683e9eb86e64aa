import { cloneJson } from "../values/json.ts";
import type { KubeObject } from "../kinds/resource.ts";
import { resourceOf } from "../kinds/resources.ts";

/**
 * The object with what upstream fills in on a write: its defaults, what a plain cluster's admission adds to a pod, and a
 * Secret's stringData moved to its data. Applied twice it changes nothing more; the object given is left as it was.
 */
export function applyDefaults<T extends KubeObject>(object: T): T {
  const copy = cloneJson(object);
  resourceOf(copy)?.applyDefaults(copy);
  return copy;
}
