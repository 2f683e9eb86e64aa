import assert from "node:assert/strict";
import { test } from "node:test";
import { parseArguments } from "../arguments.ts";
import { CliError } from "../cli-error.ts";
import { commands } from "../commands.ts";
import { podAndCommand } from "./exec.ts";

const exec = commands.find(({ name }) => name === "exec");
const read = (line: string): object => {
  const { flags, ...parsed } = parseArguments(line.split(" "), exec?.flags ?? [], exec);
  return { ...podAndCommand(parsed), container: flags.string("container"), tty: flags.boolean("tty") };
};

const web = { pod: "web", container: undefined, tty: false };
const cases: { line: string; want: object }[] = [
  { line: "web ls -l", want: { ...web, command: ["ls", "-l"] } },
  { line: "web -- ls -l", want: { ...web, command: ["ls", "-l"] } },
  { line: "web -c side ls -l", want: { ...web, container: "side", command: ["ls", "-l"] } },
  { line: "web -c side -- ls -l", want: { ...web, container: "side", command: ["ls", "-l"] } },
  { line: "-c side web sh -c ls", want: { ...web, container: "side", command: ["sh", "-c", "ls"] } },
  { line: "-it web sh", want: { ...web, tty: true, command: ["sh"] } },
  { line: "web -it -c side -- sh -c ls", want: { ...web, tty: true, container: "side", command: ["sh", "-c", "ls"] } },
  { line: "web git log -- a", want: { ...web, command: ["git", "log", "--", "a"] } },
];
for (const { line, want } of cases) test(`podAndCommand() reads exec ${line}`, () => assert.deepEqual(read(line), want));

const mistakes: { line: string; says: RegExp }[] = [
  { line: "-- ls", says: /^Name a pod and a command: exec POD -- COMMAND/ },
  { line: "web -c side", says: /^Name a command to run in pod "web": exec web -- COMMAND/ },
  { line: "web side -- ls -l", says: /named with -c: exec web -c side -- ls -l; .*: exec web -- side ls -l$/ },
];
for (const { line, says } of mistakes) {
  test(`podAndCommand() refuses exec ${line}`, () =>
    assert.throws(
      () => read(line),
      (error) => error instanceof CliError && error.exitCode === 64 && says.test(error.message),
    ));
}
