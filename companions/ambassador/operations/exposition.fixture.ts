import assert from "node:assert/strict";

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"`;
const SAMPLE = new RegExp(`^(${NAME})(\\{${LABEL}(?:,${LABEL})*\\})? (Na[nN]|[+-]Inf|-?\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?)$`);
const SUFFIXES: Readonly<Record<string, readonly string[]>> = { histogram: ["_bucket", "_sum", "_count"], summary: ["", "_sum", "_count"] };

/**
 * Reads Prometheus' text format, version 0.0.4, as strictly as its description allows: HELP and TYPE before a family's samples, a family in
 * one piece, no series twice, names that fit their type, buckets that grow up to `+Inf`, which equals the count. Gives the value of each series.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function parseExposition(text: string): Map<string, number> {
  assert.ok(text.endsWith("\n"), "the last line ends with a newline");
  const series = new Map<string, number>();
  const families = new Set<string>();
  let family = { name: "", type: "", hasHelp: false };
  for (const line of text.slice(0, -1).split("\n")) {
    if (line === "") continue;
    const [, keyword, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === "HELP") {
      assert.ok(!families.has(name), `${name} is in two pieces`);
      families.add(name);
      family = { name, type: "", hasHelp: true };
    } else if (keyword === "TYPE") {
      assert.ok(family.name === name && family.hasHelp && family.type === "", `TYPE of ${name} comes after its HELP, once`);
      assert.match(rest, /^(counter|gauge|histogram|summary|untyped)$/);
      family = { ...family, type: rest };
    } else {
      readSample(line, family, series);
    }
  }
  checkHistograms(series);
  return series;
}

function readSample(line: string, family: { readonly name: string; readonly type: string }, series: Map<string, number>): void {
  const [, name = "", labels = "", value = ""] = SAMPLE.exec(line) ?? [];
  assert.notEqual(name, "", `not a sample: ${line}`);
  const names = (SUFFIXES[family.type] ?? [""]).map((suffix) => `${family.name}${suffix}`);
  assert.ok(names.includes(name), `${name} stands in the family ${family.name}`);
  if (family.type === "counter") assert.match(name, /_total$/);
  const key = `${name}${labels}`;
  assert.ok(!series.has(key), `${key} is there twice`);
  series.set(key, Number(value.replace("Inf", "Infinity"))); // Go's ParseFloat takes NaN in any case, and prom-client writes Nan
}

function checkHistograms(series: ReadonlyMap<string, number>): void {
  const last = new Map<string, { bound: number; count: number }>();
  for (const [key, count] of series) {
    const [, name, le = "", labels = ""] = /^(.*)_bucket\{le="([^"]+)",?(.*)\}$/.exec(key) ?? [];
    if (name === undefined) continue;
    const rest = labels === "" ? "" : `{${labels}}`;
    const bound = Number(le.replace("Inf", "Infinity"));
    const before = last.get(name + rest);
    if (before !== undefined) assert.ok(bound > before.bound && count >= before.count, `${key} grows`);
    last.set(name + rest, { bound, count });
    if (le === "+Inf") assert.equal(count, series.get(`${name}_count${rest}`));
  }
  for (const [name, { bound }] of last) assert.equal(bound, Infinity, `${name} has a bucket +Inf`);
}
