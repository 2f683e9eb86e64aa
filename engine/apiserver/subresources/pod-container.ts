import { badRequest, type ContainerRole, type Pod, podContainers, pods } from "@peapod/api";
import type { ContainerReference } from "../../kubelet/node-server.ts";
import { StatusError } from "../errors.ts";
import type { ObjectApi } from "../verbs/object-api.ts";
import type { Place } from "../verbs/object-key.ts";

/** A container that a log or exec request means: the named one, or the only one. Throws 400 or 404, with upstream's words. */
export function findContainer(api: ObjectApi, place: Place, wanted: string | undefined): ContainerReference & { readonly pod: Pod } {
  const pod = api.get(pods, place) as Pod; // the resource says the kind
  const name = pod.metadata.name ?? "";
  const reference = (containerName: string) => ({ podUid: pod.metadata.uid ?? "", containerName, pod });
  const all = podContainers(pod.spec);
  const namesOf = (...roles: ContainerRole[]): string[] => all.filter(({ role }) => roles.includes(role)).map((each) => each.name);
  const [apps, init] = [namesOf("application"), namesOf("init", "sidecar")];
  if (wanted !== undefined) {
    if (all.some((container) => container.name === wanted)) return reference(wanted);
    throw new StatusError(badRequest(`container ${wanted} is not valid for pod ${name}`));
  }
  const chosen = pod.metadata.annotations?.["kubectl.kubernetes.io/default-container"];
  if (chosen !== undefined && apps.includes(chosen)) return reference(chosen);
  const [only, ...more] = apps;
  if (only !== undefined && more.length === 0) return reference(only);
  const also = init.length === 0 ? "" : ` or one of the init containers: [${init.join(" ")}]`;
  throw new StatusError(badRequest(`a container name must be specified for pod ${name}, choose one of: [${apps.join(" ")}]${also}`));
}

/** Throws 400 while a pod has no node: nothing of it runs anywhere. */
export function refuseUnscheduled(pod: Pod): void {
  if ((pod.spec?.nodeName ?? "") === "") throw new StatusError(badRequest(`pod ${pod.metadata.name} does not have a host assigned`));
}
