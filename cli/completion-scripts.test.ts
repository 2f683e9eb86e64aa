import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "@peapod/kit";
import { commands } from "./commands.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "./completion-scripts.ts";

/** What bash offers for a command line whose last word is being written. */
async function complete(words: readonly string[], signal: AbortSignal): Promise<string[]> {
  const script = `${bashCompletion(commands)}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _peapod; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await run("bash", ["-c", script, "bash", ...words], { signal, cwd: import.meta.dirname });
  return stdout.split("\n").filter((line) => line !== "");
}

const cases: { words: string[]; want: string[] }[] = [
  { words: ["peapod", "ver"], want: ["version"] },
  { words: ["peapod", "im"], want: ["image"] },
  { words: ["peapod", "image", "p"], want: ["pull", "prune"] },
  { words: ["peapod", "up", "--ti"], want: ["--timeout", "--timestamps"] },
  { words: ["peapod", "ps", "-o", ""], want: ["json", "yaml"] },
  { words: ["peapod", "completion", ""], want: ["bash", "zsh", "fish"] },
  { words: ["peapod", "up", "main.t"], want: ["main.test.ts", "main.ts"] },
  { words: ["peapod", "image", "load", "--na"], want: ["--name"] },
];
for (const { words, want } of cases) {
  test(`bashCompletion() completes ${words.join(" ")}`, async (t) =>
    assert.deepEqual((await complete(words, t.signal)).toSorted(), want.toSorted()));
}

test("zshCompletion() and fishCompletion() name every command and flag", () => {
  for (const script of [zshCompletion(commands), fishCompletion(commands)]) {
    for (const { name, flags } of commands) {
      for (const word of name.split(" ")) assert.ok(script.includes(word), `${word} is missing`);
      for (const flag of flags) assert.ok(script.includes(flag.name), `--${flag.name} is missing`);
    }
  }
});
