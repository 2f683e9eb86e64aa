import { json, type Route, text } from "../../../frame/admin/admin-server.ts";
import type { Answer } from "../../../frame/admin/admin-server.ts";
import type { Html } from "../../../frame/admin/html.ts";
import { readiness } from "../../../frame/program/admin-routes.ts";
import type { Ambassador } from "../ambassador.ts";
import { problemsOf, readConnections, readStatus } from "../status.ts";
import { untilReachable } from "./reach.ts";
import { statusSections } from "./status-sections.ts";

/** Rows of a page that a person reads. */
const PAGE_CONNECTIONS = 200;
/** Of the JSON, which a program reads. */
const JSON_CONNECTIONS = 10_000;

/** What the admin server answers besides what that of every companion does. */
export function adminRoutes(ambassador: Ambassador): ReadonlyMap<string, Route> {
  return new Map<string, Route>([
    ["/readyz", (query) => readyz(ambassador, query)],
    [
      "/endpoints",
      () =>
        json(
          200,
          readStatus(ambassador).listeners.map(({ name, endpoints }) => ({ listener: name, endpoints })),
        ),
    ],
    ["/connections", () => json(200, readConnections(ambassador, JSON_CONNECTIONS))],
  ]);
}

/** The ambassador's sections of the page. */
export function pageSections(ambassador: Ambassador, nowMs: number): Html {
  return statusSections({ status: readStatus(ambassador), connections: readConnections(ambassador, PAGE_CONNECTIONS), nowMs });
}

/**
 * 200 when every listener accepts and has an endpoint to try, else 503 with a line for each that does not. `?listener=NAME` asks for one;
 * `?upstream=reachable` also tries an upstream of each, for scripts that wait: a probe should not, see docs.
 */
async function readyz(ambassador: Ambassador, query: URLSearchParams): Promise<Answer> {
  const name = query.get("listener");
  const { listeners } = readStatus(ambassador);
  const asked = listeners.filter((listener) => name === null || listener.name === name);
  if (name !== null && asked.length === 0) return text(404, `there is no listener ${JSON.stringify(name)}`);
  const problems = problemsOf(asked);
  if (problems.length === 0 && query.get("upstream") === "reachable") {
    const serving = ambassador.serving().filter(({ listener }) => asked.some((one) => one.name === listener.config.name));
    problems.push(...(await Promise.all(serving.map(({ listener }) => untilReachable(listener)))).flat());
  }
  return readiness(problems, ambassador);
}
