import assert from "node:assert/strict";
import { test } from "node:test";
import { type FlagSpec, parseArguments, parseDuration } from "./arguments.ts";
import { CliError } from "./cli-error.ts";

const specs: readonly FlagSpec[] = [
  { name: "stdin", short: "i", kind: "boolean", about: "" },
  { name: "tty", short: "t", kind: "boolean", about: "" },
  { name: "container", short: "c", kind: "string", about: "" },
  { name: "file", short: "f", kind: "list", about: "" },
  { name: "tail", kind: "number", about: "" },
  { name: "since", kind: "duration", about: "" },
  { name: "output", short: "o", kind: "string", choices: ["json", "yaml"], about: "" },
];

const cases: { does: string; words: string[]; ownWords?: number; want: object }[] = [
  { does: "splits short flags that stand together", words: ["-it", "web"], want: { stdin: true, tty: true, positionals: ["web"] } },
  {
    does: "takes a value after a space, an equals sign or at once",
    words: ["-c", "a", "-f=x", "-fy", "--file=z"],
    want: { container: "a", file: ["x", "y", "z"] },
  },
  { does: "takes flags after plain words", words: ["web", "--tail", "5"], want: { tail: 5, positionals: ["web"] } },
  {
    does: "leaves what follows -- alone",
    words: ["-i", "web", "--", "ls", "-l"],
    want: { stdin: true, positionals: ["web"], rest: ["ls", "-l"] },
  },
  {
    does: "leaves a command's own flags alone where asked",
    words: ["-i", "web", "ls", "-l", "--", "--tail"],
    ownWords: 2,
    want: { stdin: true, positionals: ["web", "ls", "-l", "--", "--tail"] },
  },
  {
    does: "takes its own flags up to the last of its own words",
    words: ["web", "-c", "a", "sh", "-c", "exit"],
    ownWords: 2,
    want: { container: "a", positionals: ["web", "sh", "-c", "exit"] },
  },
  {
    does: "takes none after its only own word",
    words: ["ambassador", "-c", "a", "--", "b"],
    ownWords: 1,
    want: { positionals: ["ambassador", "-c", "a", "--", "b"] },
  },
  {
    does: "leaves what follows -- alone where fewer own words came",
    words: ["web", "-c", "a", "--", "ls"],
    ownWords: 2,
    want: { container: "a", positionals: ["web"], rest: ["ls"] },
  },
  { does: "reads - as a plain word", words: ["-f", "-", "-"], want: { file: ["-"], positionals: ["-"] } },
  { does: "reads a time as seconds", words: ["--since", "1h30m"], want: { since: 5400 } },
  { does: "takes a negative number", words: ["--tail", "-1"], want: { tail: -1 } },
];
for (const { does, words, ownWords = Infinity, want } of cases) {
  test(`parseArguments() ${does}`, () => {
    const { flags, positionals, rest } = parseArguments(words, specs, { ownWords });
    const said = {
      stdin: flags.boolean("stdin"),
      tty: flags.boolean("tty"),
      container: flags.string("container"),
      file: flags.list("file"),
      tail: flags.number("tail"),
      since: flags.number("since"),
      positionals,
      rest,
    };
    const nothing = {
      stdin: false,
      tty: false,
      container: undefined,
      file: [],
      tail: undefined,
      since: undefined,
      positionals: [],
      rest: undefined,
    };
    assert.deepEqual(said, { ...nothing, ...want });
  });
}

const errors: { words: string[]; message: RegExp }[] = [
  { words: ["--contaner", "a"], message: /^Unknown flag --contaner, did you mean --container\?$/ },
  { words: ["-x"], message: /^Unknown flag -x$/ },
  { words: ["-c"], message: /^-c needs a value/ },
  { words: ["-c", "--", "ls"], message: /^-c needs a value/ },
  { words: ["--tail", "many"], message: /--tail takes a whole number, not "many"/ },
  { words: ["--since", "soon"], message: /--since takes a time such as/ },
  { words: ["-o", "xml"], message: /--output takes one of json, yaml, not "xml"/ },
  { words: ["--tty=perhaps"], message: /expected true or false/ },
];
for (const { words, message } of errors) {
  test(`parseArguments() refuses ${words.join(" ")}`, () => {
    assert.throws(
      () => parseArguments(words, specs),
      (error) => error instanceof CliError && error.exitCode === 64 && message.test(error.message),
    );
  });
}

test("parseDuration() reads what kubectl reads", () => {
  assert.deepEqual(
    ["90", "90s", "5m", "1h30m", "1.5s", "", "h", "5 m", "-3s"].map(parseDuration),
    [90, 90, 300, 5400, 1.5, undefined, 0, undefined, undefined].map((value, index) => (index === 6 ? undefined : value)),
  );
});
