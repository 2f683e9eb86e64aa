import type { Pod } from "@peapod/api";
import { referenceNames, type ReferenceNames } from "./references.ts";

/** A ConfigMap or Secret that pods name. */
export interface Reference {
  readonly kind: keyof ReferenceNames;
  readonly namespace: string;
  readonly name: string;
}

interface Named {
  readonly uids: Set<string>;
  readonly watch: Disposable;
}

/**
 * Which pods name a ConfigMap or Secret: a change of one costs what its own pods cost, however many others there are. Each is watched from
 * the first pod that names it to the last.
 */
export class ReferenceIndex {
  readonly #watch: (reference: Reference) => Disposable;
  readonly #named = new Map<string, Named>();
  readonly #keysOf = new Map<string, readonly string[]>();

  constructor(watch: (reference: Reference) => Disposable) {
    this.#watch = watch;
  }

  /** Takes what a pod names now. */
  put(uid: string, pod: Pod): void {
    const { configMaps, secrets } = referenceNames(pod);
    const { namespace = "" } = pod.metadata;
    const references: Reference[] = [
      ...[...configMaps].map((name) => ({ kind: "configMaps" as const, namespace, name })),
      ...[...secrets].map((name) => ({ kind: "secrets" as const, namespace, name })),
    ];
    for (const reference of references) this.#use(uid, reference);
    this.#keep(uid, references.map(keyOf));
  }

  /** Forgets a pod. */
  delete(uid: string): void {
    this.#keep(uid, []);
  }

  /** The pods, by uid, that name an object. */
  users(reference: Reference): readonly string[] {
    return [...(this.#named.get(keyOf(reference))?.uids ?? [])];
  }

  #use(uid: string, reference: Reference): void {
    const key = keyOf(reference);
    const known = this.#named.get(key);
    if (known !== undefined) known.uids.add(uid);
    else this.#named.set(key, { uids: new Set([uid]), watch: this.#watch(reference) });
  }

  /** Lets go of what a pod named before and does not now. */
  #keep(uid: string, keys: readonly string[]): void {
    for (const key of this.#keysOf.get(uid) ?? []) {
      const named = this.#named.get(key);
      if (named === undefined || keys.includes(key)) continue;
      named.uids.delete(uid);
      if (named.uids.size > 0) continue;
      this.#named.delete(key);
      named.watch[Symbol.dispose]();
    }
    if (keys.length === 0) this.#keysOf.delete(uid);
    else this.#keysOf.set(uid, keys);
  }
}

function keyOf({ kind, namespace, name }: Reference): string {
  return `${kind}/${namespace}/${name}`;
}
