import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

/** What differs from run to run, by its name in a golden file: `{age}`. */
const volatile: Readonly<Record<string, string>> = {
  age: String.raw`(?:\d+[smhd])+`,
  time: String.raw`\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} [+-]\d{4}`,
  timestamp: String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`,
  ip: String.raw`\d+\.\d+\.\d+\.\d+`,
  id: "[0-9a-f]{64}",
  uid: "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
  number: String.raw`\d+`,
  word: String.raw`\S+`,
  words: String.raw`\S.*`,
};

/**
 * Compares what a command printed with `golden/NAME.txt`, which was written down from what upstream's printers print and not
 * from our own output: so there is no way to rewrite it from a run. What is volatile stands there in braces; runs of spaces
 * between columns may be of any length, since the volatile decides it.
 */
export function assertGolden(text: string, name: string, known: Readonly<Record<string, string>> = {}): void {
  const wanted = readFileSync(new URL(`golden/${name}.txt`, import.meta.url), "utf8")
    .trimEnd()
    .split("\n");
  const lines = text.trimEnd().split("\n");
  // A line that fits is shown as the golden one, so that the difference shows only what does not fit.
  const seen = lines.map((line, index) => {
    const golden = wanted[index];
    return golden !== undefined && pattern(golden, known).test(line) ? golden : line;
  });
  assert.equal(seen.join("\n"), wanted.join("\n"), `${name}: not what upstream prints`);
}

function pattern(line: string, known: Readonly<Record<string, string>>): RegExp {
  const source = line
    .trimEnd()
    .split(/(\{\w+\}| {2,})/)
    .map((part, index) => {
      if (/^ {2,}$/.test(part)) return index === 1 && line.startsWith(" ") ? part : " {2,}";
      const key = /^\{(\w+)\}$/.exec(part)?.[1] ?? "";
      const value = known[key];
      return volatile[key] ?? RegExp.escape(value ?? part);
    })
    .join("");
  return new RegExp(String.raw`^${source}\s*$`);
}
