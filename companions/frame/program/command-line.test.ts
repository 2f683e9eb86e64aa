import assert from "node:assert/strict";
import { test } from "node:test";
import { type Command, parseCommandLine, UsageError } from "./command-line.ts";

const waitWords = { query: { upstream: "reachable" }, flags: [{ name: "listener", value: "NAME", help: "" }] };
const wait = { kind: "wait", config: undefined, admin: undefined, query: { upstream: "reachable" }, timeoutMs: 60_000 } as const;
const understood: { words: string[]; want: Command }[] = [
  { words: [], want: { kind: "run", config: undefined } },
  { words: ["run", "--config", "a.yaml"], want: { kind: "run", config: "a.yaml" } },
  { words: ["--config=a.yaml"], want: { kind: "run", config: "a.yaml" } },
  { words: ["check", "a.yaml"], want: { kind: "check", config: "a.yaml" } },
  { words: ["check"], want: { kind: "check", config: undefined } },
  { words: ["wait"], want: wait },
  {
    words: ["wait", "--timeout", "1.5s", "--listener", "db"],
    want: { ...wait, timeoutMs: 1_500, query: { upstream: "reachable", listener: "db" } },
  },
  { words: ["wait", "--timeout=200ms", "--admin", "unix:/run/admin"], want: { ...wait, timeoutMs: 200, admin: "unix:/run/admin" } },
  { words: ["wait", "--timeout", "2m"], want: { ...wait, timeoutMs: 120_000 } },
  { words: ["check", "a.yaml", "--help"], want: { kind: "help" } },
  { words: ["--version"], want: { kind: "version" } },
];
for (const { words, want } of understood) {
  test(`parseCommandLine() understands "${words.join(" ")}"`, () => {
    assert.deepEqual(parseCommandLine(words, waitWords), want);
  });
}

const refused: { words: string[]; message: RegExp }[] = [
  { words: ["start"], message: /Unknown command "start"/ },
  { words: ["run", "a.yaml"], message: /run takes no "a.yaml"/ },
  { words: ["check", "a", "b"], message: /check takes one FILE/ },
  { words: ["check", "a", "--config", "b"], message: /check takes one FILE/ },
  { words: ["--timeout", "1s"], message: /--timeout belongs to wait/ },
  { words: ["check", "a", "--listener", "db"], message: /--listener belongs to wait/ },
  { words: ["wait", "--timeout", "soon"], message: /expected a time/ },
  { words: ["wait", "--admin", ":1", "--config", "a"], message: /not both/ },
  { words: ["--bad"], message: /--bad/ },
];
for (const { words, message } of refused) {
  test(`parseCommandLine() refuses "${words.join(" ")}"`, () => {
    assert.throws(
      () => parseCommandLine(words, waitWords),
      (error) => error instanceof UsageError && message.test(error.message),
    );
  });
}
