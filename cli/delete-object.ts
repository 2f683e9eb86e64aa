import { ApiError, type Client, type DeleteOptions } from "@peapod/client";
import { placeOf } from "./apply.ts";
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
    const remaining = await client.delete(resource, place, options, signal);
    const uid = remaining?.metadata.uid ?? object.metadata.uid;
    for await (const current of followObject(client, resource, place, signal)) {
      if (current === undefined || (uid !== undefined && current.metadata.uid !== uid)) break;
      if (uid === undefined && current.metadata.deletionTimestamp === undefined) break; // made anew by somebody else
    }
    return remaining !== undefined;
  } catch (cause) {
    if (cause instanceof ApiError && cause.code === 404) return false; // its namespace is gone too
    if (cause instanceof ApiError && cause.code === 409 && options.uid !== undefined) return false; // another has its name
    throw cause;
  }
}
