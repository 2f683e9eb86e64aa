import { type Namespace, namespaces, type Resource, resources } from "@peapod/api";
import { ApiError, type Client, Reflector } from "@peapod/client";
import { type Clock, giveWay, isAbort, KeyedWorker, type Logger } from "@peapod/kit";

const AGAIN_AFTER_MS = 200;

/** Deletes what is in namespaces that are being deleted, then the namespaces, each for itself. Runs until the signal is aborted. */
export async function runNamespaceController(
  { client, clock, log }: { client: Client; clock: Clock; log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const worker = new KeyedWorker<string>(async (name) => {
    try {
      await empty(client, name, clock, signal);
      await finalize(client, name, signal);
    } catch (cause) {
      if (!isAbort(cause, signal)) log.error("cannot empty a namespace", { namespace: name, error: cause });
    }
  });
  const onChange = (name: string, namespace: Namespace): void => {
    if (isTerminating(namespace)) worker.notify(name);
  };
  await new Reflector<Namespace>({ client, resource: namespaces, clock, log, onChange }).run(signal);
  await worker.idle();
}

const contents: readonly Resource[] = resources.filter(({ namespaced }) => namespaced);

async function empty(client: Client, namespace: string, clock: Clock, signal: AbortSignal): Promise<void> {
  for (;;) {
    const left = await Promise.all(contents.map(async (resource) => deleteAll(client, resource, namespace, signal)));
    if (!left.includes(true)) return;
    await clock.sleep(AGAIN_AFTER_MS, signal); // pods take their grace; their end is the kubelet's
  }
}

/** Deletes all of a kind, and says whether any of it is there still. */
async function deleteAll(client: Client, resource: Resource, namespace: string, signal: AbortSignal): Promise<boolean> {
  const { items } = await client.list(resource, { namespace }, signal);
  let isLeft = false;
  for (const { metadata } of items) {
    const terminating = await client.delete(resource, { namespace, name: metadata.name ?? "" }, {}, signal);
    isLeft ||= terminating !== undefined;
    await giveWay();
  }
  return isLeft;
}

async function finalize(client: Client, name: string, signal: AbortSignal): Promise<void> {
  try {
    const current = await client.get(namespaces, { name }, signal);
    if (!isTerminating(current)) return;
    const finalizers = (current.spec?.finalizers ?? []).filter((finalizer) => finalizer !== "kubernetes");
    await client.update(namespaces, { ...current, spec: { ...current.spec, finalizers } }, { subresource: "finalize" }, signal);
  } catch (cause) {
    if (!(cause instanceof ApiError && (cause.code === 404 || cause.code === 409))) throw cause; // gone is what we want; a change brings it here again
  }
}

function isTerminating({ metadata }: Namespace): boolean {
  return metadata.deletionTimestamp !== undefined;
}
