import { type Client } from "@peapod/client";
import { eventually } from "@peapod/kit";
import { type Pod, pods } from "@peapod/api";

/** The image of every benchmark. */
export const IMAGE = "apt.local/busybox";

/** The pod that benchmarks start: three containers that sleep. One that names its node goes past the scheduler, and past its limit of 110. */
export function threeContainers(name: string, nodeName?: string): Pod {
  const container = (each: string) => ({ name: each, image: IMAGE, command: ["/bin/busybox", "sleep", "3600"] });
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default" },
    spec: {
      ...(nodeName === undefined ? {} : { nodeName }),
      terminationGracePeriodSeconds: 1,
      containers: [container("one"), container("two"), container("three")],
    },
  };
}

/** Creates a pod and gives the milliseconds from the request until the API says that every container runs. */
export async function createUntilRunning(client: Client, pod: Pod, signal: AbortSignal): Promise<number> {
  const { resourceVersion } = await client.list(pods, { namespace: "default" }, signal);
  const stop = new AbortController();
  const changes = client.watch(pods, { namespace: "default", resourceVersion }, AbortSignal.any([signal, stop.signal]));
  const events = changes[Symbol.asyncIterator]();
  const first = events.next(); // opens the watch before the clock starts
  await new Promise((resolve) => setTimeout(resolve, 50));
  const startedMs = performance.now();
  await client.create(pods, pod, {}, signal);
  try {
    for (let event = await first; event.done !== true; event = await events.next()) {
      const { metadata, status } = event.value.object;
      const running = status?.containerStatuses?.filter((one) => one.state?.running !== undefined) ?? [];
      if (metadata.name === pod.metadata.name && running.length === pod.spec?.containers.length) return performance.now() - startedMs;
    }
    throw new Error(`The watch ended before pod ${pod.metadata.name} ran`);
  } finally {
    stop.abort();
  }
}

/** Deletes a pod and waits until it is gone. */
export async function deleteUntilGone(client: Client, name: string, signal: AbortSignal): Promise<void> {
  await client.delete(pods, { namespace: "default", name }, { gracePeriodSeconds: 1 }, signal);
  await eventually(
    async () => (await client.list(pods, { namespace: "default", fieldSelector: `metadata.name=${name}` }, signal)).items.length === 0,
    { withinMs: 30_000 },
  );
}
