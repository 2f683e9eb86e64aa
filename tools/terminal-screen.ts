/** How a cell looks. */
export interface Look {
  /** 30 to 37, as in ANSI; undefined is the terminal's own. */
  readonly colour: number | undefined;
  readonly bold: boolean;
  readonly dim: boolean;
}

/** A stretch of a row that looks alike. */
export interface Span {
  readonly column: number;
  readonly text: string;
  readonly look: Look;
}

const ESCAPE = "\u001b";
const tokens = new RegExp(String.raw`${ESCAPE}\[[\d;?]*[a-zA-Z]|[^]`, "gu");

interface Cell {
  readonly character: string;
  readonly look: Look;
}

const plain: Look = { colour: undefined, bold: false, dim: false };

/** The screen of a terminal that takes what peapod and its like write; throws at a sequence that it does not know, rather than show something else. */
export class TerminalScreen {
  readonly #columns: number;
  readonly #rows: number;
  #cells: Cell[][] = [[]];
  #row = 0;
  #column = 0;
  #look = plain;

  constructor(columns: number, rows: number) {
    this.#columns = columns;
    this.#rows = rows;
  }

  write(text: string): void {
    for (const [token] of text.matchAll(tokens)) {
      if (token.startsWith(`${ESCAPE}[`)) this.#control(token);
      else this.#put(token);
    }
  }

  /** What each row shows. */
  rows(): Span[][] {
    return this.#cells.map(toSpans);
  }

  #put(character: string): void {
    if (character === "\r") this.#column = 0;
    else if (character === "\n") this.#newLine();
    else if (character < " ") throw new Error(`Unknown control character ${JSON.stringify(character)}`);
    else {
      if (this.#column >= this.#columns) {
        this.#column = 0;
        this.#newLine();
      }
      const row = this.#currentRow();
      while (row.length < this.#column) row.push({ character: " ", look: plain });
      row[this.#column] = { character, look: this.#look };
      this.#column += 1;
    }
  }

  #newLine(): void {
    this.#row += 1;
    if (this.#row >= this.#rows) {
      this.#cells.shift();
      this.#row -= 1;
    }
    while (this.#cells.length <= this.#row) this.#cells.push([]);
  }

  #control(sequence: string): void {
    const parameters = sequence.slice(2, -1).split(";");
    const first = Number(parameters[0]);
    switch (sequence.slice(-1)) {
      case "m":
        for (const code of parameters.map(Number)) this.#look = lookAfter(this.#look, code);
        return;
      case "A":
        this.#row = Math.max(0, this.#row - Math.max(1, first));
        return;
      case "J":
        this.#currentRow().splice(this.#column);
        this.#cells.splice(this.#row + 1);
        return;
      default:
        throw new Error(`Unknown control sequence ${JSON.stringify(sequence)}`);
    }
  }

  #currentRow(): Cell[] {
    return (this.#cells[this.#row] ??= []);
  }
}

function lookAfter(look: Look, code: number): Look {
  if (code === 0) return plain;
  if (code === 1) return { ...look, bold: true };
  if (code === 2) return { ...look, dim: true };
  if (code >= 30 && code <= 37) return { ...look, colour: code };
  throw new Error(`Unknown colour ${code}`);
}

function toSpans(cells: readonly Cell[]): Span[] {
  const spans: Span[] = [];
  for (const [column, { character, look }] of cells.entries()) {
    const last = spans.at(-1);
    if (last !== undefined && JSON.stringify(last.look) === JSON.stringify(look))
      spans[spans.length - 1] = { ...last, text: last.text + character };
    else spans.push({ column, text: character, look });
  }
  return spans.filter(({ text }) => text.trim() !== "");
}
