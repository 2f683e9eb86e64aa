import { type KeyToPath, type Pod, podResources, quantityToNumber, type Volume } from "@peapod/api";
import { EngineError } from "../../errors.ts";
import type { VolumeFile, VolumePlan } from "../../volumes/volumes.ts";
import type { References } from "./environment.ts";
import { nestedMountPoints } from "./nested-mounts.ts";

/** A pod's volumes by name: each with everything resolved, or why that cannot be. */
export interface VolumePlans {
  readonly plans: ReadonlyMap<string, VolumePlan>;
  /** In upstream's words: what is missing and not optional. */
  readonly problems: ReadonlyMap<string, string>;
}

const DEFAULT_MODE = 0o644;

/** What a pod's volumes are made of: each for itself, so that what is missing for one holds up no other. */
export function planVolumes(pod: Pod, references: References): VolumePlans {
  const plans = new Map<string, VolumePlan>();
  const problems = new Map<string, string>();
  for (const volume of pod.spec?.volumes ?? []) {
    try {
      plans.set(volume.name, planVolume(pod, volume, references));
    } catch (cause) {
      if (!(cause instanceof EngineError)) throw cause;
      problems.set(volume.name, `MountVolume.SetUp failed for volume "${volume.name}" : ${cause.message}`);
    }
  }
  return { plans, problems };
}

/** Whether containers always mount a volume read-only. */
export function isReadOnlyVolume(volume: Volume): boolean {
  return volume.configMap !== undefined || volume.secret !== undefined;
}

function planVolume(pod: Pod, volume: Volume, references: References): VolumePlan {
  if (volume.hostPath !== undefined) return { kind: "hostPath", source: volume.hostPath };
  if (volume.configMap !== undefined) {
    const { name = "", optional = false, items, defaultMode } = volume.configMap;
    const found = references.configMaps.get(name);
    if (found === undefined && !optional) throw new EngineError("VOLUME_FAILED", `configmap "${name}" not found`);
    const text = Object.entries(found?.data ?? {}).map(([key, value]): [string, Uint8Array] => [key, Buffer.from(value, "utf8")]);
    const entries = new Map([...text, ...decodeEntries(found?.binaryData)]);
    return {
      kind: "files",
      memory: false,
      files: projectFiles(entries, { items, defaultMode, optional, missing: "configmap references non-existent config key" }),
      ...mountPointsIn(pod, volume),
    };
  }
  if (volume.secret !== undefined) {
    const { secretName = "", optional = false, items, defaultMode } = volume.secret;
    const found = references.secrets.get(secretName);
    if (found === undefined && !optional) throw new EngineError("VOLUME_FAILED", `secret "${secretName}" not found`);
    const entries = new Map(decodeEntries(found?.data));
    return {
      kind: "files",
      memory: true,
      files: projectFiles(entries, { items, defaultMode, optional, missing: "references non-existent secret key" }),
      ...mountPointsIn(pod, volume),
    };
  }
  const other = Object.keys(volume).find((key) => key !== "name" && key !== "emptyDir");
  if (other !== undefined) throw new EngineError("VOLUME_FAILED", `volumes of the kind ${other} are not supported`);
  const { medium = "", sizeLimit } = volume.emptyDir ?? {};
  const own = sizeLimit === undefined ? 0 : quantityToNumber(sizeLimit);
  // What is written to memory counts against the pod's limit: a tmpfs that could hold more would have its writers killed.
  const ofPod = medium === "Memory" ? (podResources(pod).memoryLimitBytes ?? 0) : 0;
  const limits = [own, ofPod].filter((bytes) => bytes > 0);
  const limit = limits.length === 0 ? {} : { sizeLimitBytes: Math.min(...limits) };
  return { kind: "emptyDir", medium: medium === "Memory" ? "Memory" : "", ...limit };
}

function mountPointsIn(pod: Pod, { name }: Volume): { mountPoints?: string[] } {
  const mountPoints = nestedMountPoints(pod, name);
  return mountPoints.length === 0 ? {} : { mountPoints };
}

function decodeEntries(data: Readonly<Record<string, string>> | undefined): [string, Uint8Array][] {
  return Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64")]);
}

interface Projection {
  readonly items: readonly KeyToPath[] | undefined;
  readonly defaultMode: number | undefined;
  readonly optional: boolean;
  readonly missing: string;
}

function projectFiles(
  entries: ReadonlyMap<string, Uint8Array>,
  { items, defaultMode = DEFAULT_MODE, optional, missing }: Projection,
): VolumeFile[] {
  if (items === undefined || items.length === 0) return [...entries].map(([path, content]) => ({ path, content, mode: defaultMode }));
  return items.flatMap(({ key, path, mode }) => {
    const content = entries.get(key);
    if (content !== undefined) return [{ path, content, mode: mode ?? defaultMode }];
    if (optional) return [];
    throw new EngineError("VOLUME_FAILED", `${missing}: ${key}`);
  });
}
