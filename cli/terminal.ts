import type { Writable } from "node:stream";

/** The colours used, as ANSI codes. */
export type Colour = "red" | "green" | "yellow" | "blue" | "magenta" | "cyan" | "dim" | "bold";
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
  #drawn = 0;

  constructor(streams: TerminalStreams) {
    this.#streams = streams;
  }

  /** Whether progress can be shown in place. */
  get isLive(): boolean {
    return this.#streams.stderr.isTTY === true;
  }

  /** Writes text as it is to standard output. */
  write(text: string): void {
    this.#above(() => this.#streams.stdout.write(text));
  }

  /** Writes a line to standard output. */
  line(text: string): void {
    this.write(`${text}\n`);
  }

  /** Says what happens, on standard error. */
  note(text: string): void {
    this.#above(() => this.#streams.stderr.write(`${text}\n`));
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

  #erase(): void {
    if (this.#drawn > 0) this.#streams.stderr.write(`\r\u001b[${this.#drawn}A\u001b[J`);
    this.#drawn = 0;
  }

  #draw(): void {
    if (this.#live.length === 0) return;
    const width = (this.#streams.stderr.columns ?? 80) - 1;
    this.#streams.stderr.write(this.#live.map((line) => `${line.slice(0, width)}\n`).join(""));
    this.#drawn = this.#live.length;
  }
}

function paint(isOn: boolean, colour: Colour, text: string): string {
  return isOn ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text;
}
