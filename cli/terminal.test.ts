import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { Terminal, visible } from "./terminal.ts";

test("visible() lets colours, tabs and ends of lines pass, and shows what else a terminal would obey", () => {
  const cases: [string, string][] = [
    ["plain, ünïcode 漢字\t\r\n", "plain, ünïcode 漢字\t\r\n"],
    ["\u001b[1;31mred\u001b[0m", "\u001b[1;31mred\u001b[0m"],
    ["\u001b]0;title\u0007", "^[]0;title^G"],
    ["\u001b[2Jgone\u001b[31m", "^[[2Jgone\u001b[31m"],
    ["over\rwritten\u0008\n", "over^Mwritten^H\n"],
    ["\u009b2J\u007f\u0000", "\\x9b2J^?^@"],
    ["\u001b\u001b[31m\n\n", "^[\u001b[31m\n\n"],
  ];
  for (const [given, want] of cases) assert.equal(visible(given), want);
});

test("Terminal writes bytes as they are where there is no terminal", () => {
  const { terminal, stdout } = aTerminal(false);
  terminal.write(Buffer.from([0x61, 0xff, 0x1b, 0x0d, 0x0a]));
  assert.deepEqual(stdout.read(), Buffer.from([0x61, 0xff, 0x1b, 0x0d, 0x0a]));
});

test("Terminal lets a program in a container use any colour, and what it says itself only those that hide nothing", () => {
  const { terminal, stdout, stderr } = aTerminal(true);
  Object.assign(stdout, { isTTY: true });
  const text = "\u001b[31mred\u001b[0m \u001b[8mhidden\u001b[30;40mblack";
  const seen = "\u001b[31mred\u001b[0m ^[[8mhidden^[[30;40mblack";
  terminal.write(Buffer.from(text));
  assert.equal(String(stdout.read()), text);
  terminal.line(text);
  assert.equal(String(stdout.read()), `${seen}\n`);
  terminal.note(text);
  assert.equal(String(stderr.read()), `${seen}\n`);
});

test("Terminal takes its live lines away, also those that a narrower window has wrapped", () => {
  const { terminal, stderr } = aTerminal(true);
  terminal.show(["a".repeat(60), "b"]);
  stderr.columns = 25;
  stderr.read();
  terminal.note("said");
  assert.equal(String(stderr.read()), `\r\u001b[4A\u001b[Jsaid\n${"a".repeat(24)}\nb\n`);
  stderr.columns = 80;
  terminal.show([]);
  assert.equal(String(stderr.read()), "\r\u001b[2A\u001b[J");
});

function aTerminal(isTTY: boolean): { terminal: Terminal; stdout: PassThrough; stderr: PassThrough & { columns: number } } {
  const stdout = new PassThrough();
  const stderr = Object.assign(new PassThrough(), { isTTY, columns: 80 });
  return { terminal: new Terminal({ stdout, stderr, noColor: true }), stdout, stderr };
}
