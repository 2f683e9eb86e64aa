import { readdir } from "node:fs/promises";
import { isErrno } from "@peapod/kit";
import type { Container, PodSandbox } from "../../runtime/runtime.ts";
import { rootfsKey } from "../decide/container-config.ts";
import { readKeptPods } from "./kept-pods.ts";
import { PodRecord } from "./pod-record.ts";
import type { Services } from "../services.ts";

/** What earlier engines left on the machine, by pod. */
export async function adoptFromMachine(services: Services, signal: AbortSignal): Promise<Map<string, PodRecord>> {
  const { runtime, images, volumes, network } = services;
  const [sandboxes, containers, volumePods, networkPods, rootfsKeys, logged, kept] = await Promise.all([
    runtime.listPodSandboxes(),
    runtime.listContainers(),
    volumes.listPods(),
    network.listPods(),
    images.listRootfs(),
    loggedPods(services.podLogsDir),
    readKeptPods(services.keptPodsDir),
  ]);
  const records = new Map<string, PodRecord>();
  const recordOf = (pod: { uid: string; namespace: string; name: string }): PodRecord => {
    let record = records.get(pod.uid);
    if (record === undefined) records.set(pod.uid, (record = new PodRecord(pod)));
    return record;
  };
  for (const pod of logged) recordOf(pod);
  for (const sandbox of sandboxes) recordOf(sandbox.pod).sandboxes.made(sandbox);
  for (const container of containers) recordOf(container.pod).containers.adopted(container, services.clock);
  for (const uid of [...volumePods, ...networkPods, ...kept.keys()]) if (!records.has(uid)) recordOf({ uid, namespace: "", name: "" });
  for (const uid of volumePods) recordOf({ uid, namespace: "", name: "" }).volumes.adopted();
  await removeUnusedRootfs(services, rootfsKeys, containers, signal);
  return records;
}

/**
 * Looks at the whole machine again, in case a notice was lost. Gives the pods that are not as they were remembered. Only what the
 * memory knew before the look is compared: what was made during it may not be in it.
 */
export async function compareWithMachine(services: Services, records: ReadonlyMap<string, PodRecord>): Promise<PodRecord[]> {
  const knownBefore = new Set(
    [...records.values()].flatMap(({ sandboxes, containers }) =>
      [...sandboxes.all.map(({ sandbox }) => sandbox), ...containers.all].map(({ id }) => id),
    ),
  );
  const [sandboxes, containers] = await Promise.all([services.runtime.listPodSandboxes(), services.runtime.listContainers()]);
  const sandboxById = new Map(sandboxes.map((sandbox): [string, PodSandbox] => [sandbox.id, sandbox]));
  const containerById = new Map(containers.map((container): [string, Container] => [container.id, container]));
  const changed = new Set<PodRecord>();
  for (const record of records.values()) {
    for (const { sandbox, isStopped } of record.sandboxes.all) {
      const { id } = sandbox;
      const now = sandboxById.get(id);
      if (!knownBefore.has(id) || isStopped || now?.state === sandbox.state) continue;
      record.sandboxes.looked(id, now);
      changed.add(record);
    }
    for (const { id, state } of record.containers.all) {
      if (!knownBefore.has(id) || containerById.get(id)?.state.kind === state.kind) continue;
      record.hinted({ containerId: id });
      changed.add(record);
    }
  }
  return [...changed];
}

/** After a reboot there is one of each container that ran. */
const REMOVALS_AT_ONCE = 4;

/** One that cannot be removed is told of, and tried again by whoever wants its name or looks here next. */
async function removeUnusedRootfs(
  { images, log }: Services,
  keys: readonly string[],
  containers: readonly Container[],
  signal: AbortSignal,
): Promise<void> {
  const used = new Set(containers.map(({ pod, name, attempt }) => rootfsKey(pod.uid, name, attempt)));
  const remove = async (key: string): Promise<void> => {
    try {
      await images.removeRootfs(key, signal);
    } catch (error) {
      log.warn("root file system not removed, tried again later", { key, error });
    }
  };
  const unused = keys.filter((key) => !used.has(key)).values();
  const some = async (): Promise<void> => {
    for (const key of unused) await remove(key); // all of them take from the same
  };
  await Promise.all(Array.from({ length: REMOVALS_AT_ONCE }, some));
}

/** The pods that have a folder of logs: `<namespace>_<name>_<uid>`. */
async function loggedPods(podLogsDir: string): Promise<{ uid: string; namespace: string; name: string }[]> {
  try {
    const names = await readdir(podLogsDir);
    return names.flatMap((entry) => {
      const [namespace, name, uid] = entry.split("_");
      return namespace === undefined || name === undefined || uid === undefined ? [] : [{ namespace, name, uid }];
    });
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return [];
    throw cause;
  }
}
