import type { KubeObject } from "@peapod/api";
import type { ObjectKey } from "./store.ts";

/** Objects kept parsed: more than a machine's worth of pods and what they use. */
const LIMIT = 4_096;

/** The newest form of objects, parsed and frozen. The one not read for longest leaves first. */
export class ObjectCache {
  readonly #objects = new Map<string, KubeObject>();

  get(key: ObjectKey): KubeObject | undefined {
    const id = idOf(key);
    const object = this.#objects.get(id);
    if (object === undefined) return undefined;
    this.#objects.delete(id);
    this.#objects.set(id, object);
    return object;
  }

  set(key: ObjectKey, object: KubeObject): void {
    const id = idOf(key);
    this.#objects.delete(id);
    this.#objects.set(id, object);
    if (this.#objects.size <= LIMIT) return;
    for (const oldest of this.#objects.keys()) {
      this.#objects.delete(oldest);
      return;
    }
  }

  delete(key: ObjectKey): void {
    this.#objects.delete(idOf(key));
  }
}

function idOf({ resource, namespace, name }: ObjectKey): string {
  return `${resource}/${namespace}/${name}`;
}

/** Freezes parsed JSON all through, so that whoever is handed the store's own object cannot change it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  for (const inner of Object.values(value)) if (typeof inner === "object") deepFreeze(inner);
  return Object.freeze(value);
}
