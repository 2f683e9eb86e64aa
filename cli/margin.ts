import type { Colour } from "./terminal.ts";

const colours: readonly Colour[] = ["cyan", "yellow", "green", "magenta", "blue", "red"];

/** Puts the name of its writer before each line: `web | GET /`, all names as wide as the widest, each in its colour. */
export class Margin {
  readonly #names = new Map<string, Colour>();
  readonly #paint: (colour: Colour, text: string) => string;
  #width = 0;

  constructor(names: readonly string[], paint: (colour: Colour, text: string) => string) {
    this.#paint = paint;
    for (const name of names) this.#add(name);
  }

  /** One line, with its end or without, ready to print. A name not seen before gets the next colour. */
  format(name: string, line: Uint8Array): Buffer {
    const colour = this.#names.get(name) ?? this.#add(name);
    const bytes = Buffer.from(line.buffer, line.byteOffset, line.byteLength);
    const text = bytes.subarray(0, bytes.length - (/\r?\n$/.exec(bytes.subarray(-2).toString("latin1"))?.[0].length ?? 0));
    // What a container leaves switched on must not colour the next one's line.
    const end = text.includes("\u001b[") ? "\u001b[0m" : "";
    return Buffer.concat([Buffer.from(`${this.#paint(colour, `${name.padEnd(this.#width)} |`)} `), text, Buffer.from(`${end}\n`)]);
  }

  #add(name: string): Colour {
    const colour = colours[this.#names.size % colours.length] ?? "cyan";
    this.#names.set(name, colour);
    this.#width = Math.max(this.#width, name.length);
    return colour;
  }
}
