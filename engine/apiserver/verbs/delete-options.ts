import { badRequest, decode, type ObjectMeta } from "@peapod/api";
import type { DeleteOptions } from "./deleting.ts";
import { StatusError } from "../errors.ts";
import type { Exchange } from "../http/exchange.ts";
import type { Query } from "../http/query.ts";
import { readObjectBody } from "../encodings/request-body.ts";

const TYPE = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";

/** What of that type counts here. */
interface Given {
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: Pick<ObjectMeta, "uid" | "resourceVersion">;
  readonly dryRun?: readonly string[];
}

/** How a deletion is to be done, by its body and its query. Throws 400 for what is mistyped: a condition that is not understood must not count as met. */
export async function readDeleteOptions({ request, query }: Exchange): Promise<DeleteOptions> {
  const { value, problems } = decode((await readObjectBody(request)) ?? {}, TYPE);
  const mistyped = problems.filter(({ kind }) => kind === "type" || kind === "format");
  if (mistyped.length > 0)
    throw new StatusError(
      badRequest(`the DeleteOptions cannot be handled: ${mistyped.map(({ path, message }) => `${path}: ${message}`).join(", ")}`),
    );
  const { gracePeriodSeconds: bodyGrace, preconditions = {}, dryRun = [] } = value as Given; // decode gives what the schema says
  const gracePeriodSeconds = (query.int64("gracePeriodSeconds") ?? bodyGrace) as number | undefined; // or what stands for a larger one
  return {
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...preconditions,
    dryRun: isDryRun(query, dryRun),
  };
}

/** Whether a write is only to be tried. Throws 400 for anything but `All`: it must not be done for real. */
export function isDryRun(query: Query, more: readonly string[] = []): boolean {
  const given = [...query.list("dryRun"), ...more];
  if (given.some((value) => value !== "All" && value !== ""))
    throw new StatusError(badRequest(`invalid query parameter dryRun=${JSON.stringify(given.join())}: expected All`));
  return given.includes("All");
}
