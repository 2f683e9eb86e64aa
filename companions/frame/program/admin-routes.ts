import type { CommonConfig } from "../config/common.ts";
import type { Work } from "./companion.ts";
import type { FrameMetrics } from "./metrics.ts";
import type { FrameStatus } from "../admin/status.ts";
import { type Answer, json, type Route, text } from "../admin/admin-server.ts";
import { page } from "../admin/page.ts";

/** What the routes ask. */
export interface RouteParts {
  readonly name: string;
  readonly work: Pick<Work<CommonConfig>, "problems" | "report" | "status" | "page" | "routes">;
  readonly metrics: FrameMetrics;
  readonly status: () => FrameStatus;
}

/** What the admin server answers. */
export function adminRoutes({ name, work, metrics, status }: RouteParts): ReadonlyMap<string, Route> {
  return new Map<string, Route>([
    ["/", (query) => pageOf(query)],
    ["/healthz", () => text(200, "ok")],
    ["/readyz", () => readiness(work.problems(), status())],
    [
      "/metrics",
      async () => {
        await work.report?.();
        const { contentType, body } = await metrics.text();
        return { status: 200, contentType, body };
      },
    ],
    ["/status", () => json(200, { ...status(), ...work.status?.() })],
    ...(work.routes ?? []),
  ]);

  function pageOf(query: URLSearchParams): Answer {
    const nowMs = Date.now();
    const body = page({ name, status: status(), isRefreshing: query.get("refresh") !== "off", nowMs, sections: work.page?.(nowMs) });
    return { status: 200, contentType: "text/html; charset=utf-8", body };
  }
}

/** 200 where there are no problems, else 503 with a line for each. */
export function readiness(problems: readonly string[], { isDraining }: { readonly isDraining: boolean }): Answer {
  const lines = isDraining && problems.length === 0 ? ["draining"] : problems;
  return lines.length === 0 ? text(200, "ready") : text(503, lines.join("\n"));
}
