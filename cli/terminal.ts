import type { Writable } from "node:stream";

/** The colours used, as ANSI codes. */
export type Colour = "red" | "green" | "yellow" | "blue" | "magenta" | "cyan" | "dim" | "bold";
const ESCAPE = "\u001b";
const codes: Record<Colour, number> = { red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36, dim: 2, bold: 1 };

export interface TerminalStreams {
  readonly stdout: Writable & { isTTY?: boolean; columns?: number };
  readonly stderr: Writable & { isTTY?: boolean; columns?: number };
  readonly noColor: boolean;
}

/**
 * Where a command writes: results to standard output, what happens meanwhile to standard error. On a terminal a few live
 * lines stand below everything else and are drawn anew as they change.
 */
export class Terminal {
  readonly #streams: TerminalStreams;
  #live: readonly string[] = [];
  /** The lengths of the lines that stand there. */
  #drawn: readonly number[] = [];

  constructor(streams: TerminalStreams) {
    this.#streams = streams;
  }

  /** Whether progress can be shown in place. */
  get isLive(): boolean {
    return this.#streams.stderr.isTTY === true;
  }

  /**
   * Writes to standard output: as it is into a file or a pipe, and what a terminal would obey so that it is seen. Bytes are what a program in a
   * container says, which may be in any colour; of a text, the colours of `paint` alone pass.
   */
  write(text: string | Uint8Array): void {
    const isTerminal = this.#streams.stdout.isTTY === true;
    const seen = (): string => (typeof text === "string" ? visible(text, ownColour) : visible(Buffer.from(text).toString("utf8")));
    const shown = isTerminal ? seen() : text;
    this.#above(() => this.#streams.stdout.write(shown));
  }

  /** Writes a line to standard output. */
  line(text: string): void {
    this.write(`${text}\n`);
  }

  /** Says what happens, on standard error. */
  note(text: string): void {
    this.#above(() => this.#streams.stderr.write(`${this.#streams.stderr.isTTY === true ? visible(text, ownColour) : text}\n`));
  }

  warn(text: string): void {
    this.note(`${this.paintNote("yellow", "Warning:")} ${text}`);
  }

  /** Replaces the live lines; none takes them away. Nothing where there is no terminal. */
  show(lines: readonly string[]): void {
    if (!this.isLive) return;
    this.#erase();
    this.#live = lines;
    this.#draw();
  }

  /** Colours text for standard output. */
  paint(colour: Colour, text: string): string {
    return paint(this.#streams.stdout.isTTY === true && !this.#streams.noColor, colour, text);
  }

  /** Colours text for standard error. */
  paintNote(colour: Colour, text: string): string {
    return paint(this.#streams.stderr.isTTY === true && !this.#streams.noColor, colour, text);
  }

  #above(write: () => void): void {
    this.#erase();
    write();
    this.#draw();
  }

  /** A terminal that became narrower has wrapped what was drawn: that many more rows are taken away. */
  #erase(): void {
    const rows = this.#drawn.reduce((sum, length) => sum + Math.max(1, Math.ceil(length / this.#columns)), 0);
    if (rows > 0) this.#streams.stderr.write(`\r\u001b[${rows}A\u001b[J`);
    this.#drawn = [];
  }

  #draw(): void {
    if (this.#live.length === 0) return;
    const lines = this.#live.map((line) => visible(line, ownColour).slice(0, this.#columns - 1));
    this.#streams.stderr.write(lines.map((line) => `${line}\n`).join(""));
    this.#drawn = lines.map(({ length }) => length);
  }

  get #columns(): number {
    return Math.max(2, this.#streams.stderr.columns ?? 80);
  }
}

function paint(isOn: boolean, colour: Colour, text: string): string {
  return isOn ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text;
}

const anyColour = /^\[[\d;]*m$/;
/** None that hides what is written. */
const ownColour = new RegExp(`^\\[(?:0|${Object.values(codes).join("|")})m$`);

/** Ends of lines, tabs and such colours pass; any other control character is shown as what it is, such as `^[` for an escape. */
export function visible(text: string, colour: RegExp = anyColour): string {
  return text.replaceAll(/\p{Cc}(?:\[[\d;]*m|\n)?/gu, (found) => {
    const [control = "", rest] = [found[0], found.slice(1)];
    if (control === "\n" || control === "\t" || (control === "\r" && rest === "\n") || (control === ESCAPE && colour.test(rest)))
      return found;
    const code = control.charCodeAt(0);
    return (code > 0x7f ? `\\x${code.toString(16)}` : `^${String.fromCharCode(code ^ 0x40)}`) + rest;
  });
}
