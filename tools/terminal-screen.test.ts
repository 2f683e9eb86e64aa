import assert from "node:assert/strict";
import { test } from "node:test";
import { renderRecording } from "./recording-svg.ts";
import { TerminalScreen } from "./terminal-screen.ts";

/** The rows of a screen as plain text, after some writes. */
function show(...writes: readonly string[]): string[] {
  const screen = new TerminalScreen(10, 3);
  for (const text of writes) screen.write(text);
  return screen.rows().map((spans) => spans.map(({ column, text }) => text.padStart(column + text.length)).join(""));
}

const cases: { does: string; writes: string[]; want: string[] }[] = [
  { does: "puts lines below each other", writes: ["one\r\ntwo"], want: ["one", "two"] },
  { does: "overwrites after a carriage return", writes: ["progress\rdone"], want: ["doneress"] },
  { does: "erases what is drawn anew", writes: ["a\r\nold\r\n", "\r\u001b[1A\u001b[Jnew"], want: ["a", "new"] },
  { does: "wraps at its edge", writes: ["0123456789ab"], want: ["0123456789", "ab"] },
  { does: "scrolls at its end", writes: ["1\r\n2\r\n3\r\n4"], want: ["2", "3", "4"] },
];
for (const { does, writes, want } of cases) {
  test(`TerminalScreen ${does}`, () => assert.deepEqual(show(...writes), want));
}

test("TerminalScreen tells colours apart", () => {
  const screen = new TerminalScreen(20, 3);
  screen.write("\u001b[32mweb\u001b[0m ok");
  assert.deepEqual(
    screen.rows()[0]?.map(({ text, look }) => [text, look.colour]),
    [
      ["web", 32],
      [" ok", undefined],
    ],
  );
});

test("TerminalScreen refuses a sequence that it does not know", () => {
  assert.throws(() => show("\u001b[5C"), /Unknown control sequence/);
});

test("renderRecording() shows the last frame where nothing moves, and escapes text", () => {
  const screen = new TerminalScreen(20, 3);
  screen.write("first");
  const first = { atMs: 0, rows: screen.rows() };
  screen.write("\ra < b");
  const svg = renderRecording([first, { atMs: 1_000, rows: screen.rows() }], { columns: 20, title: "demo" });
  assert.match(svg, /<text id="r0" class="r gone"[^>]*><tspan[^>]*>first</);
  assert.match(svg, /<text id="r1" class="r"[^>]*><tspan[^>]*>a &lt; b</);
});
