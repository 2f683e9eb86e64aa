import type { Metrics } from "../metrics.ts";
import { readConnections, readStatus, type StatusParts } from "../status.ts";
import { type Answer, json, type Route, text } from "./admin-server.ts";
import { statusPage } from "./status-page.ts";
import { untilReachable } from "./reach.ts";

/** Rows of a page that a person reads. */
const PAGE_CONNECTIONS = 200;
/** Of the JSON, which a program reads. */
const JSON_CONNECTIONS = 10_000;

/** What the admin server answers. */
export function adminRoutes(parts: StatusParts & { readonly metrics: Metrics }): ReadonlyMap<string, Route> {
  const { ambassador, metrics } = parts;
  return new Map<string, Route>([
    ["/", (query) => page(parts, query)],
    ["/healthz", () => text(200, "ok")],
    ["/readyz", (query) => readiness(parts, query)],
    [
      "/metrics",
      async () => {
        await ambassador.report();
        const { contentType, body } = await metrics.text();
        return { status: 200, contentType, body };
      },
    ],
    ["/status", () => json(200, readStatus(parts))],
    [
      "/endpoints",
      () =>
        json(
          200,
          readStatus(parts).listeners.map(({ name, endpoints }) => ({ listener: name, endpoints })),
        ),
    ],
    ["/connections", () => json(200, readConnections(ambassador, JSON_CONNECTIONS))],
  ]);
}

/**
 * 200 when every listener accepts and has an endpoint to try, else 503 with a line for each that does not. `?listener=NAME` asks for one;
 * `?upstream=reachable` also tries an upstream of each, for scripts that wait: a probe should not, see docs.
 */
async function readiness(parts: StatusParts, query: URLSearchParams): Promise<Answer> {
  const name = query.get("listener");
  const { isDraining, listeners } = readStatus(parts);
  const asked = listeners.filter((listener) => name === null || listener.name === name);
  if (name !== null && asked.length === 0) return text(404, `there is no listener ${JSON.stringify(name)}`);
  const problems = asked.flatMap(({ name: one, problem }) => (problem === undefined ? [] : [`${one}: ${problem}`]));
  if (problems.length === 0 && query.get("upstream") === "reachable") {
    const serving = parts.ambassador.serving().filter(({ listener }) => asked.some((one) => one.name === listener.config.name));
    problems.push(...(await Promise.all(serving.map(({ listener }) => untilReachable(listener)))).flat());
  }
  if (isDraining && problems.length === 0) problems.push("draining");
  return problems.length === 0 ? text(200, "ready") : text(503, problems.join("\n"));
}

function page(parts: StatusParts, query: URLSearchParams): Answer {
  const body = statusPage({
    status: readStatus(parts),
    connections: readConnections(parts.ambassador, PAGE_CONNECTIONS),
    isRefreshing: query.get("refresh") !== "off",
    nowMs: Date.now(),
  });
  return { status: 200, contentType: "text/html; charset=utf-8", body };
}
