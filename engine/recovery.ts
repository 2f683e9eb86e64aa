import type { Pod } from "@peapod/api";
import type { Logger } from "@peapod/kit";
import { podsOfEarlierStores, readKeptPods } from "./kubelet/record/kept-pods.ts";
import type { ContainerRuntime } from "./runtime/runtime.ts";

/** How pods get objects again that an earlier store had. */
export interface EarlierPods {
  /** What has a lower resource version is of an earlier store. Also the time of this one's making, in microseconds. */
  readonly began: number;
  /** Stores pods again as they were; gives those that have an object now. */
  restore(pods: readonly Pod[]): Pod[];
}

export interface RecoveryOptions {
  readonly earlier: EarlierPods;
  readonly runtime: ContainerRuntime;
  readonly keptPodsDir: string;
  readonly log: Logger;
  /** What becomes of pods of an earlier store that no record tells enough of. */
  readonly unknownPods: "keep" | "remove";
}

/**
 * After the store was moved away: gives the pods that run, or have data here, objects again, from what the kubelet kept of them. Gives those
 * that stay without one and are to be left alone.
 */
export async function recoverFromMachine({ earlier, runtime, keptPodsDir, log, unknownPods }: RecoveryOptions): Promise<Set<string>> {
  const kept = await readKeptPods(keptPodsDir);
  const lost = [...kept.values()]
    .filter((pod) => pod !== undefined)
    .filter(({ metadata }) => Number(metadata.resourceVersion) < earlier.began);
  const recovered = earlier.restore(lost);
  const named = (pods: readonly { namespace?: string; name?: string }[]): string[] => pods.map((pod) => `${pod.namespace}/${pod.name}`);
  if (recovered.length > 0)
    log.warn(
      "the store is a new one; pods of the one before have objects again, but not the ConfigMaps and Secrets they name: apply them",
      {
        pods: named(recovered.map(({ metadata }) => metadata)),
      },
    );
  const sandboxes = await runtime.listPodSandboxes();
  const strangers = podsOfEarlierStores(sandboxes, kept, earlier.began);
  for (const { metadata } of recovered) strangers.delete(metadata.uid ?? "");
  if (strangers.size === 0 || unknownPods === "remove") return new Set();
  log.warn("pods run that no object tells of; they are left alone: to end them, start the engine with --unknown-pods=remove", {
    pods: named(sandboxes.filter(({ pod }) => strangers.has(pod.uid)).map(({ pod }) => pod)),
  });
  return strangers;
}
