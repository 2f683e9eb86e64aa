import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { asRecord, type Pod } from "@peapod/api";
import { isErrno, makePrivateFolder, readTextIfPresent, writeFileAtomic } from "@peapod/kit";
import type { PodSandbox } from "../../runtime/runtime.ts";
import type { PodRecord } from "./pod-record.ts";
import type { Services } from "../services.ts";

const ENDING = ".json";

/**
 * Keeps the pod's object in a file of its own, as it is when its spec or phase changes: should the API lose it, the pod that runs can be given
 * an object again. What a full disk does not take is only said.
 */
export async function keepPod({ keptPodsDir, log }: Services, record: PodRecord): Promise<void> {
  const pod = record.wanted;
  if (pod === undefined || record.isTornDown || record.isObjectDeleted || record.sandboxes.all.length + record.containers.all.length === 0)
    return;
  const { generation, deletionTimestamp } = pod.metadata;
  const state = JSON.stringify([generation, deletionTimestamp, record.status.phase]);
  if (!record.keptAs(state)) return;
  try {
    await makePrivateFolder(keptPodsDir);
    await writeFileAtomic(join(keptPodsDir, record.uid + ENDING), JSON.stringify({ ...pod, status: record.status }), { ifChanged: true });
  } catch (error) {
    if (record.notKept()) log.warn("pod not recorded, tried again", { pod: record.name, uid: record.uid, error });
  }
}

/** The pod is gone. Safe to repeat. */
export async function forgetKeptPod(keptPodsDir: string, uid: string): Promise<void> {
  await rm(join(keptPodsDir, uid + ENDING), { force: true });
}

/** The pods that are kept, by uid; undefined for one that cannot be read. */
export async function readKeptPods(keptPodsDir: string): Promise<Map<string, Pod | undefined>> {
  const names = (await listIfPresent(keptPodsDir)).filter((name) => name.endsWith(ENDING));
  const entries = names.map(async (name): Promise<[string, Pod | undefined]> => {
    const uid = name.slice(0, -ENDING.length);
    const pod = parse(await readTextIfPresent(join(keptPodsDir, name)));
    return [uid, pod?.metadata.uid === uid ? pod : undefined];
  });
  return new Map(await Promise.all(entries));
}

/**
 * The pods that run here and are of a store before the one that began with this version (a time, in microseconds). What is kept of a pod says
 * so, or where nothing is, the time of its sandbox.
 */
export function podsOfEarlierStores(
  sandboxes: readonly PodSandbox[],
  kept: ReadonlyMap<string, Pod | undefined>,
  began: number,
): Set<string> {
  const earlier = sandboxes.filter(({ pod, createdAtMs }) => {
    const version = kept.get(pod.uid)?.metadata.resourceVersion;
    return version === undefined ? createdAtMs * 1_000 < began : Number(version) < began;
  });
  return new Set(earlier.map(({ pod }) => pod.uid));
}

async function listIfPresent(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return [];
    throw cause;
  }
}

/** `keepPod` wrote it, or the disk lost a part of it. */
function parse(text: string | undefined): Pod | undefined {
  if (text === undefined) return undefined;
  try {
    const pod = asRecord(JSON.parse(text));
    return typeof asRecord(pod?.["metadata"])?.["name"] === "string" ? (pod as unknown as Pod) : undefined; // what keepPod writes
  } catch {
    return undefined; // as if there were none
  }
}
