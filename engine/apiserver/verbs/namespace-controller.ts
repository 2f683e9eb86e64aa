import { type KubeObject, type Namespace, namespaces, type Resource, resources } from "@peapod/api";
import { type Clock, isAbort, KeyedWorker, type Logger } from "@peapod/kit";
import { StatusError, statusOf } from "../errors.ts";
import type { ObjectApi } from "./object-api.ts";

const AGAIN_AFTER_MS = 200;
const RESTART_AFTER_MS = 1_000;

/** Deletes what is in namespaces that are being deleted, then the namespaces, each for itself. Runs until the signal is aborted. */
export async function runNamespaceController(options: { api: ObjectApi; clock: Clock; log: Logger }, signal: AbortSignal): Promise<void> {
  const { api, clock, log } = options;
  const worker = new KeyedWorker<string>(async (name) => {
    try {
      await empty(api, name, clock, signal);
    } catch (cause) {
      if (!isAbort(cause, signal)) log.error("cannot empty a namespace", { namespace: name, error: cause });
    }
  });
  while (!signal.aborted) {
    try {
      for await (const { type, object } of api.watch(namespaces, {}, signal)) {
        if (type !== "DELETED" && isTerminating(object)) worker.notify(object.metadata.name ?? "");
      }
    } catch (cause) {
      if (isAbort(cause, signal)) break;
      if (!(cause instanceof StatusError)) log.error("namespace controller failed", { error: cause });
    }
    await clock.sleep(RESTART_AFTER_MS, signal).catch(() => {}); // aborted: the loop's condition ends it
  }
  await worker.idle();
}

const contents: readonly Resource[] = resources.filter(({ namespaced }) => namespaced);

async function empty(api: ObjectApi, name: string, clock: Clock, signal: AbortSignal): Promise<void> {
  for (;;) {
    const deletions = contents.flatMap((resource) => api.deleteCollection(resource, { namespace: name }, {}));
    if (deletions.every(({ kind }) => kind === "removed")) break;
    await clock.sleep(AGAIN_AFTER_MS, signal); // pods take their grace; their end is the kubelet's
  }
  try {
    const current = api.get(namespaces, { name }) as Namespace; // the resource says the kind
    if (!isTerminating(current)) return;
    const finalizers = (current.spec?.finalizers ?? []).filter((finalizer) => finalizer !== "kubernetes");
    api.update(namespaces, { name }, { ...current, spec: { ...current.spec, finalizers } }, { subresource: "finalize" });
  } catch (cause) {
    if (statusOf(cause).code !== 404) throw cause; // gone is what we want
  }
}

function isTerminating(object: KubeObject): boolean {
  return object.metadata.deletionTimestamp !== undefined;
}
