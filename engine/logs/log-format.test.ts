import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LogFormat } from "./log-format.ts";
import type { LogOptions } from "./logs.ts";

const log = Buffer.from(
  [
    "2026-01-02T03:04:05.000000001Z stdout F one",
    "2026-01-02T03:04:06.000000002+00:00 stderr F zwei",
    "2026-01-02T03:04:07.000000003Z stdout P thr",
    "2026-01-02T03:04:08.000000004Z stdout F ee é",
    "no line of a log",
    "2026-01-02T03:04:09.000000005Z stdout F ",
    "2026-01-02T03:04:10.000000006Z stdout F:tag  two  spaces",
    "",
  ].join("\n"),
);

const base: LogOptions = { follow: false, timestamps: false };
const cases: { does: string; given: Partial<LogOptions>; want: string }[] = [
  { does: "shows the container's bytes, partial lines joined", given: {}, want: "one\nzwei\nthree é\n\n two  spaces\n" },
  { does: "shows one stream", given: { stream: "Stderr" }, want: "zwei\n" },
  { does: "leaves out what is older than sinceTime", given: { sinceTimeMs: Date.parse("2026-01-02T03:04:09Z") }, want: "\n two  spaces\n" },
  { does: "stops at limitBytes, in the middle of a line", given: { limitBytes: 6 }, want: "one\nzw" },
  {
    does: "writes the time before each line, once for a joined one",
    given: { timestamps: true, stream: "All" },
    want: [
      "2026-01-02T03:04:05.000000001Z one",
      "2026-01-02T03:04:06.000000002Z zwei",
      "2026-01-02T03:04:07.000000003Z three é",
      "2026-01-02T03:04:09.000000005Z ",
      "2026-01-02T03:04:10.000000006Z  two  spaces\n",
    ].join("\n"),
  },
];

for (const { does, given, want } of cases) {
  test(`LogFormat ${does}`, () => assert.equal(show({ ...base, ...given }, [log]), want));
}

test("LogFormat gives the same wherever its input is cut", () => {
  const cuts = fc.array(fc.nat({ max: log.length }), { maxLength: 8 });
  fc.assert(
    fc.property(cuts, fc.constantFrom(...cases), (at, { given, want }) => {
      const bounds = [0, ...at.toSorted((a, b) => a - b), log.length];
      const pieces = bounds.slice(1).map((end, index) => log.subarray(bounds[index], end));
      assert.equal(show({ ...base, ...given }, pieces), want);
    }),
  );
  for (let at = 0; at <= log.length; at += 1) assert.equal(show(base, [log.subarray(0, at), log.subarray(at)]), cases[0]?.want);
});

test("LogFormat shows a last line that has no newline", () => {
  assert.equal(show(base, [log.subarray(0, log.indexOf("\n") - 1)]), "on\n");
});

function show(options: LogOptions, pieces: readonly Uint8Array[]): string {
  const format = new LogFormat(options);
  return Buffer.concat([...pieces.map((piece) => format.push(piece)), format.end()]).toString("utf8");
}
