import { namespaces, type Pod, pods } from "@peapod/api";
import { createObject, type Ground } from "./creating.ts";
import { keyOf } from "./object-key.ts";

/**
 * Stores pods of an earlier store again as they were, with their uids, and their namespaces where they are missing. Gives those that have
 * an object now; one whose name another pod has meanwhile is not among them.
 */
export function recoverPods(ground: Ground, kept: Iterable<Pod>): Pod[] {
  return [...kept].filter((pod) => {
    const { namespace = "", name = "" } = pod.metadata;
    const key = keyOf(pods, { namespace, name });
    const known = ground.store.get(key);
    if (known !== undefined) return known.metadata.uid === pod.metadata.uid;
    if (ground.store.get(keyOf(namespaces, { name: namespace })) === undefined)
      createObject(ground, namespaces, undefined, { metadata: { name: namespace } }, {});
    ground.store.create(key, pod);
    return true;
  });
}
