/**
 * Runs commands in a terminal and writes what it showed, as it came, into an animated SVG.
 * usage: node tools/record.ts OUTPUT.svg COMMAND...
 */
import { writeFileSync } from "node:fs";
import { spawn } from "@lydell/node-pty";
import { root } from "./steps.ts";
import { renderRecording, type Frame } from "./recording-svg.ts";
import { TerminalScreen } from "./terminal-screen.ts";

const COLUMNS = 106;
const ROWS = 34;
/** How long the typing of a command and the look at what it left are shown. */
const TYPING_MS = 900;
const READING_MS = 1_200;
const unfinished = new RegExp(String.raw`\u001b(?:\[[\d;?]*)?$`);

/** The frames of some commands, typed one after the other; waits in the output are as they were. */
async function record(commands: readonly string[]): Promise<Frame[]> {
  const screen = new TerminalScreen(COLUMNS, ROWS);
  const frames: Frame[] = [];
  let nowMs = 0;
  for (const command of commands) {
    screen.write(`\u001b[1m$ \u001b[0m`);
    frames.push({ atMs: nowMs, rows: screen.rows() });
    screen.write(command);
    frames.push({ atMs: (nowMs += TYPING_MS), rows: screen.rows() });
    screen.write("\r\n");
    const startedMs = performance.now();
    const shownMs = nowMs;
    await runInTerminal(command, (text) => {
      screen.write(text);
      nowMs = shownMs + performance.now() - startedMs;
      frames.push({ atMs: nowMs, rows: screen.rows() });
    });
    nowMs += READING_MS;
  }
  return frames;
}

async function runInTerminal(command: string, onText: (text: string) => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const terminal = spawn("/bin/sh", ["-c", command], { name: "xterm-256color", cols: COLUMNS, rows: ROWS, cwd: root, encoding: "utf8" });
  // A chunk may end inside a control sequence: what is unfinished waits for the rest.
  let kept = "";
  let failure: unknown;
  terminal.onData((data) => {
    const text = kept + data;
    kept = unfinished.exec(text)?.[0] ?? "";
    try {
      onText(text.slice(0, text.length - kept.length));
    } catch (cause) {
      failure ??= cause; // thrown here it would end in the terminal's own event loop
    }
  });
  terminal.onExit(({ exitCode }) => {
    if (failure !== undefined) reject(failure);
    else if (exitCode !== 0) reject(new Error(`${command} exited with ${exitCode}`));
    else resolve();
  });
  await promise;
}

if (import.meta.main) {
  const [output, ...commands] = process.argv.slice(2);
  if (output === undefined || commands.length === 0) throw new Error("usage: node tools/record.ts OUTPUT.svg COMMAND...");
  writeFileSync(output, renderRecording(await record(commands), { columns: COLUMNS, title: commands.join("; ") }));
}
