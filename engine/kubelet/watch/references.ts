import { type ConfigMap, configMaps, type KubeObject, type Pod, podContainers, type Resource, type Secret, secrets } from "@peapod/api";
import { ApiError, type Client } from "@peapod/client";
import type { References } from "../decide/environment.ts";

/** The names of the ConfigMaps and Secrets that a pod's containers and volumes name. */
export interface ReferenceNames {
  readonly configMaps: ReadonlySet<string>;
  readonly secrets: ReadonlySet<string>;
}

/** Which ConfigMaps and Secrets a pod depends on. */
export function referenceNames(pod: Pod): ReferenceNames {
  const { volumes = [] } = pod.spec ?? {};
  const sources = podContainers(pod.spec).flatMap(({ container: { envFrom = [], env = [] } }) => [
    ...envFrom.map(({ configMapRef, secretRef }) => ({ configMap: configMapRef?.name, secret: secretRef?.name })),
    ...env.map(({ valueFrom }) => ({ configMap: valueFrom?.configMapKeyRef?.name, secret: valueFrom?.secretKeyRef?.name })),
  ]);
  const mounted = volumes.map(({ configMap, secret }) => ({ configMap: configMap?.name, secret: secret?.secretName }));
  const all = [...sources, ...mounted];
  const present = (name: string | undefined): name is string => name !== undefined;
  return {
    configMaps: new Set(all.map(({ configMap }) => configMap).filter(present)),
    secrets: new Set(all.map(({ secret }) => secret).filter(present)),
  };
}

/** Reads what a pod depends on from the API, as it is now; what is not there is left out. */
export async function readReferences(client: Client, pod: Pod, signal: AbortSignal): Promise<References> {
  const names = referenceNames(pod);
  const namespace = pod.metadata.namespace ?? "";
  const read = async <T extends KubeObject>(resource: Resource<T>, wanted: ReadonlySet<string>): Promise<ReadonlyMap<string, T>> => {
    const found = await Promise.all([...wanted].map((name) => getIfPresent(client, resource, { namespace, name }, signal)));
    return new Map(found.flatMap((object): [string, T][] => (object === undefined ? [] : [[object.metadata.name ?? "", object]])));
  };
  const [maps, secretMap] = await Promise.all([read<ConfigMap>(configMaps, names.configMaps), read<Secret>(secrets, names.secrets)]);
  return { configMaps: maps, secrets: secretMap };
}

async function getIfPresent<T extends KubeObject>(
  client: Client,
  resource: Resource<T>,
  where: { namespace: string; name: string },
  signal: AbortSignal,
): Promise<T | undefined> {
  try {
    return await client.get(resource, where, signal);
  } catch (cause) {
    if (cause instanceof ApiError && cause.code === 404) return undefined;
    throw cause;
  }
}
