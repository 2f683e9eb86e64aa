import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { parseExposition } from "./exposition.fixture.ts";
import { FrameMetrics } from "../../frame/program/metrics.ts";
import { Metrics } from "./metrics.ts";
import { ask, LineClient, startAmbassador, startEcho, tcpListener } from "./program.fixture.ts";
import { scopeOf } from "../../frame/test-scope.fixture.ts";

test("/metrics is strict Prometheus text, and its counts are those of the connections", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  const ambassador = await startAmbassador(scope, {
    listeners: [
      tcpListener("db", echo.port),
      tcpListener("down", 1, { upstream: { endpoints: ["127.0.0.1:1"], healthCheck: "off", retry: { attempts: 1 } } }),
    ],
  });
  const scrape = async (): Promise<Map<string, number>> => parseExposition((await ask(ambassador.admin, "/metrics")).body);
  using client = new LineClient(ambassador.port("db"));
  await client.line();
  const live = await scrape();
  assert.equal(live.get('ambassador_connections_active{listener="db"}'), 1);
  assert.equal(live.get('ambassador_bytes_total{listener="db",direction="to_client"}'), 5);
  assert.equal(await client.ask("hello"), "hello");
  const later = await scrape();
  assert.equal(later.get('ambassador_bytes_total{listener="db",direction="from_client"}'), 6);
  assert.equal(later.get('ambassador_bytes_total{listener="db",direction="to_client"}'), 11);
  assert.equal(later.get(`ambassador_endpoint_connections{listener="db",endpoint="127.0.0.1:${echo.port}"}`), 1);
  await client.end();
  using refused = new LineClient(ambassador.port("down"));
  assert.equal(await refused.line(), undefined);
  const active = async (): Promise<number[]> => {
    const now = await scrape();
    return ["db", "down"].map((name) => now.get(`ambassador_connections_active{listener="${name}"}`) ?? NaN);
  };
  await eventually(async () => assert.deepEqual(await active(), [0, 0]), { withinMs: 2_000 });
  const end = await scrape();
  assert.equal(end.get('ambassador_connections_total{listener="db"}'), 1);
  assert.equal(end.get('ambassador_bytes_total{listener="db",direction="to_client"}'), 11);
  assert.equal(end.get('ambassador_connect_seconds_count{listener="db"}'), 1);
  assert.equal(end.get('ambassador_failures_total{listener="down",code="UPSTREAM_UNREACHABLE"}'), 1);
  for (const [series, value] of live) if (/_(total|count|bucket)\b/.test(series)) assert.ok((end.get(series) ?? 0) >= value, series);
});

test("Metrics of the process are strict Prometheus text too, and label values are escaped", async () => {
  const frame = new FrameMetrics({ name: "ambassador", version: "1" });
  frame.addProcessMetrics();
  new Metrics(frame.registry).forListener('odd"name\\').addFailure("INTERNAL");
  const series = parseExposition((await frame.text()).body);
  assert.equal(series.get(String.raw`ambassador_failures_total{listener="odd\"name\\",code="INTERNAL"}`), 1);
  for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes", "nodejs_eventloop_lag_seconds"])
    assert.ok((series.get(name) ?? -1) >= 0, name);
});

test("every metric of the ambassador is in its README, and no other", async (t) => {
  const scope = scopeOf(t);
  const ambassador = await startAmbassador(scope, { listeners: [tcpListener("db", 1)] });
  const { body } = await ask(ambassador.admin, "/metrics");
  const exposed = [...body.matchAll(/^# HELP (ambassador_\w+)/gm)].map(([, name]) => name ?? "");
  const readme = readFileSync(join(import.meta.dirname, "..", "README.md"), "utf8");
  const documented = [...readme.matchAll(/^\| `(ambassador_\w+)`/gm)].map(([, name]) => name ?? "");
  assert.deepEqual(documented.toSorted(), exposed.toSorted());
});
