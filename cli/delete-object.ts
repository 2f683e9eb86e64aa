import { ApiError, type Client, type DeleteOptions } from "@peapod/client";
import { placeOf } from "./object-name.ts";
import { followObject } from "./follow-object.ts";
import type { ManifestObject } from "./manifest.ts";

/** Deletes an object and waits until it is gone, or another has its name. Tells whether it was there. */
export async function deleteAndWait(
  client: Client,
  { resource, object }: ManifestObject,
  options: DeleteOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const place = placeOf(object);
  try {
    // Looked up first: the answer to a deletion does not tell what went at once from what was not there.
    const { uid } = (await client.get(resource, place, signal)).metadata;
    if (uid === undefined || (options.uid !== undefined && uid !== options.uid)) return false; // another has its name
    await client.delete(resource, place, { ...options, uid }, signal);
    for await (const current of followObject(client, resource, place, signal)) {
      if (current?.metadata.uid !== uid) break;
    }
    return true;
  } catch (cause) {
    if (cause instanceof ApiError && cause.code === 404) return false;
    if (cause instanceof ApiError && cause.code === 409) return true; // gone meanwhile, and another has its name
    throw cause;
  }
}
