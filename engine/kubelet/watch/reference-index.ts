import type { Pod } from "@peapod/api";
import { referenceNames, type ReferenceNames } from "./references.ts";

/** Which pods name a ConfigMap or Secret: a change of one costs what its own pods cost, however many others there are. */
export class ReferenceIndex {
  readonly #uidsOf = new Map<string, Set<string>>();
  readonly #keysOf = new Map<string, readonly string[]>();

  /** Takes what a pod names now. */
  put(uid: string, pod: Pod): void {
    const { configMaps, secrets } = referenceNames(pod);
    const { namespace = "" } = pod.metadata;
    const keys = [
      ...[...configMaps].map((name) => keyOf("configMaps", namespace, name)),
      ...[...secrets].map((name) => keyOf("secrets", namespace, name)),
    ];
    this.delete(uid);
    if (keys.length === 0) return;
    this.#keysOf.set(uid, keys);
    for (const key of keys) this.#uidsOf.set(key, (this.#uidsOf.get(key) ?? new Set()).add(uid));
  }

  /** Forgets a pod. */
  delete(uid: string): void {
    for (const key of this.#keysOf.get(uid) ?? []) {
      const uids = this.#uidsOf.get(key);
      uids?.delete(uid);
      if (uids?.size === 0) this.#uidsOf.delete(key);
    }
    this.#keysOf.delete(uid);
  }

  /** The pods, by uid, that name an object. */
  users(kind: keyof ReferenceNames, namespace: string, name: string): readonly string[] {
    return [...(this.#uidsOf.get(keyOf(kind, namespace, name)) ?? [])];
  }
}

function keyOf(kind: keyof ReferenceNames, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}
