import type { KubeObject, Resource } from "@peapod/api";
import { ApiError, type Client, type NamedObject } from "@peapod/client";

/**
 * An object as it is now and after each change; undefined while there is none. Goes on through lost connections, and tells of each
 * failed try by `onLost`.
 */
export async function* followObject<T extends KubeObject>(
  client: Client,
  resource: Resource<T>,
  { name, namespace }: NamedObject,
  signal: AbortSignal,
  onLost?: () => void,
): AsyncGenerator<T | undefined> {
  const where = { ...(namespace === undefined ? {} : { namespace }), fieldSelector: `metadata.name=${name}` };
  for (;;) {
    const { items, resourceVersion } = await client.list(resource, where, signal);
    yield items[0];
    try {
      for await (const { type, object } of client.watch(
        resource,
        { ...where, resourceVersion, ...(onLost === undefined ? {} : { onLost }) },
        signal,
      )) {
        yield type === "DELETED" ? undefined : object;
      }
    } catch (cause) {
      if (!(cause instanceof ApiError) || cause.code !== 410) throw cause; // 410: list anew
    }
  }
}
