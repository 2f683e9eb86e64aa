import type { Clock, Logger } from "@peapod/kit";
import { recoverPods } from "./apiserver/verbs/recover-pods.ts";
import { podsOfEarlierStores, readKeptPods } from "./kubelet/record/kept-pods.ts";
import type { ContainerRuntime } from "./runtime/runtime.ts";
import type { Store } from "./store/store.ts";

export interface RecoveryOptions {
  readonly store: Store;
  readonly runtime: ContainerRuntime;
  readonly keptPodsDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** What becomes of pods of an earlier store that no record tells enough of. */
  readonly unknownPods: "keep" | "remove";
}

/**
 * After the store was moved away: gives the pods that run, or have data here, objects again, from what the kubelet kept of them. Gives those
 * that stay without one and are to be left alone.
 */
export async function recoverFromMachine({ store, runtime, keptPodsDir, clock, log, unknownPods }: RecoveryOptions): Promise<Set<string>> {
  const kept = await readKeptPods(keptPodsDir);
  const lost = [...kept.values()]
    .filter((pod) => pod !== undefined)
    .filter(({ metadata }) => Number(metadata.resourceVersion) < store.began);
  const recovered = recoverPods({ store, clock }, lost);
  const named = (pods: readonly { namespace?: string; name?: string }[]): string[] => pods.map((pod) => `${pod.namespace}/${pod.name}`);
  if (recovered.length > 0)
    log.warn(
      "the store is a new one; pods of the one before have objects again, but not the ConfigMaps and Secrets they name: apply them",
      {
        pods: named(recovered.map(({ metadata }) => metadata)),
      },
    );
  const sandboxes = await runtime.listPodSandboxes();
  const strangers = podsOfEarlierStores(sandboxes, kept, store.began);
  for (const { metadata } of recovered) strangers.delete(metadata.uid ?? "");
  if (strangers.size === 0 || unknownPods === "remove") return new Set();
  log.warn("pods run that no object tells of; they are left alone: to end them, start the engine with --unknown-pods=remove", {
    pods: named(sandboxes.filter(({ pod }) => strangers.has(pod.uid)).map(({ pod }) => pod)),
  });
  return strangers;
}
