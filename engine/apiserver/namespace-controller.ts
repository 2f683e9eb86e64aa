import { type KubeObject, type Namespace, namespaces, type Resource, resources } from "@peapod/api";
import { type Clock, isAbort, type Logger } from "@peapod/kit";
import { StatusError, statusOf } from "./errors.ts";
import type { ObjectApi } from "./object-api.ts";

const AGAIN_AFTER_MS = 200;
const RESTART_AFTER_MS = 1_000;

/** Deletes what is in namespaces that are being deleted, then the namespaces. Runs until the signal is aborted. */
export async function runNamespaceController(options: { api: ObjectApi; clock: Clock; log: Logger }, signal: AbortSignal): Promise<void> {
  const { api, clock, log } = options;
  while (!signal.aborted) {
    try {
      for await (const { type, object } of api.watch(namespaces, {}, signal)) {
        if (type !== "DELETED" && isTerminating(object)) await empty(api, object, clock, signal);
      }
    } catch (cause) {
      if (isAbort(cause, signal)) return;
      if (!(cause instanceof StatusError)) log.error("namespace controller failed", { error: cause });
      await clock.sleep(RESTART_AFTER_MS, signal).catch(() => {}); // aborted: the loop's condition ends it
    }
  }
}

const contents: readonly Resource[] = resources.filter(({ namespaced }) => namespaced);

async function empty(api: ObjectApi, namespace: KubeObject, clock: Clock, signal: AbortSignal): Promise<void> {
  const name = namespace.metadata.name ?? "";
  for (;;) {
    const left = contents
      .flatMap((resource) => api.deleteCollection(resource, { namespace: name }, {}))
      .filter(({ kind }) => kind === "terminating");
    if (left.length === 0) break;
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
