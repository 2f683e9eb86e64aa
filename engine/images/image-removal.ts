import { EngineError } from "../errors.ts";
import { type ImageRecord, lonelyDigests } from "./image-index.ts";
import type { ImageStore } from "./image-store.ts";

/**
 * Removes what `found` is called by: one name of it, or, where it was asked for by its id, all. The image goes with its last name,
 * unless a container uses it (IMAGE_IN_USE). Call it within `store.exclusive`.
 */
export async function removeImage(
  store: ImageStore,
  found: { record: ImageRecord; name: string | undefined },
  inUse: ReadonlySet<string>,
): Promise<{ untagged: string[]; deleted: string[] }> {
  const { record, name } = found;
  const names = store.index.namesOf(record.id);
  const tags = names.filter((each) => !each.includes("@"));
  const keepsATag = name !== undefined && tags.some((tag) => tag !== name);
  if (name !== undefined && (keepsATag || names.length > 1) && name.includes("@")) {
    await store.index.removeNames([name]);
    return { untagged: [name], deleted: [] };
  }
  if (name !== undefined && keepsATag) {
    const digests = lonelyDigests(names, name);
    await store.index.removeNames([name, ...digests]);
    return { untagged: [name, ...digests], deleted: [] };
  }
  if (inUse.has(record.id))
    throw new EngineError("IMAGE_IN_USE", `Cannot remove image "${name ?? record.id}": a container uses it; delete its pod first`);
  await store.index.remove(record.id);
  await store.removeUnusedLayers();
  return { untagged: names, deleted: [record.id] };
}

/** Removes the images that nothing uses and, unless `all`, nothing names. Call it within `store.exclusive`. */
export async function pruneImages(
  store: ImageStore,
  options: { all: boolean },
  inUse: ReadonlySet<string>,
): Promise<{ deleted: string[]; freedBytes: number }> {
  const unused = store.index.records().filter(({ id }) => !inUse.has(id) && (options.all || store.index.namesOf(id).length === 0));
  for (const { id } of unused) await store.index.remove(id);
  for (const { id } of store.index.records()) if (!inUse.has(id)) await store.index.forgetFormerLayers(id);
  return { deleted: unused.map(({ id }) => id), freedBytes: await store.removeUnusedLayers() };
}
