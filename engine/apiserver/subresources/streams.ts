import type { ObjectRoute } from "../http/routes.ts";
import { handleExecUpgrade, refusePlainExec } from "./pod-exec.ts";
import { handleLog } from "./pod-log.ts";
import type { Stream } from "./stream.ts";

/** How the subresources are answered that take and give no objects, by the plural of the kind and their name. */
export const streams: Readonly<Record<string, Stream>> = {
  "pods/log": { answer: handleLog },
  "pods/exec": { answer: async () => refusePlainExec(), upgrade: handleExecUpgrade },
};

/** The stream that a path leads to; undefined for one that takes and gives objects. */
export function streamOf({ resource, subresource = "" }: ObjectRoute): Stream | undefined {
  return resource.group === "" ? streams[`${resource.plural}/${subresource}`] : undefined;
}
