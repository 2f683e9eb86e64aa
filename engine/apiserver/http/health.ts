import { methodNotAllowed } from "@peapod/api";
import { noSuchPath, StatusError } from "../errors.ts";
import { type Exchange, sendText } from "./exchange.ts";
import { isKnown } from "./user.ts";

/** Something that must be well before the engine is ready. */
export interface HealthCheck {
  readonly name: string;
  /** What is wrong, in words; undefined where nothing is. */
  problem(): string | undefined;
}

/**
 * `healthz` and `livez` ask whether the engine lives, `readyz` whether it does its work: whoever restarts an engine by the first two does not
 * mend a disk.
 */
export type HealthPath = "healthz" | "livez" | "readyz";

/** Whether it answers at all. */
const ping: HealthCheck = { name: "ping", problem: () => undefined };

/**
 * Answers how the engine is, in upstream's forms: `ok`, a line for each check with `?verbose` or where one fails, one check by its name. `?exclude=NAME`
 * leaves one out. Strangers hear what fails, but not why.
 */
export function handleHealth(
  route: { readonly path: HealthPath; readonly check?: string },
  checks: readonly HealthCheck[],
  exchange: Exchange,
): void {
  const { method, query, response } = exchange;
  if (method !== "GET") throw new StatusError(methodNotAllowed({ group: "", plural: route.path }, method.toLowerCase()));
  const counted = route.path === "readyz" ? [ping, ...checks] : [ping];
  const why = (problem: string): string => (isKnown(exchange.user) ? problem : "reason withheld");
  if (route.check !== undefined) {
    const check = counted.find(({ name }) => name === route.check);
    if (check === undefined) throw noSuchPath();
    const problem = check.problem();
    return problem === undefined ? sendText(response, 200, "ok") : sendText(response, 500, `internal server error: ${why(problem)}\n`);
  }
  const excluded = new Set(query.list("exclude"));
  const lines: string[] = [];
  let isWell = true;
  for (const check of counted) {
    const problem = excluded.has(check.name) ? undefined : check.problem();
    if (excluded.delete(check.name)) lines.push(`[+]${check.name} excluded: ok`);
    else if (problem === undefined) lines.push(`[+]${check.name} ok`);
    else {
      isWell = false;
      lines.push(`[-]${check.name} failed: ${why(problem)}`);
    }
  }
  const unknown = [...excluded].map((name) => JSON.stringify(name)).sort();
  if (unknown.length > 0) lines.push(`warn: some health checks cannot be excluded: no matches for ${unknown.join(",")}`);
  lines.push(`${route.path} check ${isWell ? "passed" : "failed"}`);
  if (isWell && !query.has("verbose")) return sendText(response, 200, "ok");
  sendText(response, isWell ? 200 : 500, `${lines.join("\n")}\n`);
}
