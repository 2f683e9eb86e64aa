import { splitInline } from "./inline.ts";

/** A command as its arguments, of which the first is its name. */
export type Command = readonly Buffer[];

/** Gives what is sent in place of a command; undefined: the command itself. Called only for AUTH, HELLO and RESET. */
export type Rewrite = (command: Command) => Buffer | undefined;

/** A command of those names that is longer passes untouched. Tokens that serve as passwords have a few kilobytes. */
const REWRITTEN_BYTES = 16_384;
const REWRITTEN_ARGS = 16;

const [STAR, DOLLAR, CR, LF, ZERO, MINUS] = [0x2a, 0x24, 0x0d, 0x0a, 0x30, 0x2d];
const nothing = Buffer.alloc(0);
const INCOMPLETE = -1;
const INVALID = -2;
const NONE = -3;

/**
 * Finds AUTH, HELLO and RESET, and where transactions begin and end, among the commands that a client sends, wherever the pieces are cut, and lets a function rewrite them. It
 * reads only the lengths and the names: values are stepped over, never kept or copied. What it keeps between two pieces is the beginning of a
 * command, which a server could not act upon yet either: at most 16 KiB, mostly none.
 * What is not Redis' protocol passes untouched from there on: it is the server's to answer, and it ends the connection.
 */
export class CommandScanner {
  readonly #rewrite: Rewrite;
  #held: Buffer = nothing;
  /** Arguments to come of the command that is passing. */
  #argsLeft = 0;
  /** Bytes to come of the argument that is passing, with its line's end. */
  #bytesLeft = 0;
  #inInline = false;
  #isLost = false;
  /** Between MULTI and EXEC or DISCARD. */
  #isQueueing = false;
  /** Keys are watched, for the next EXEC. */
  #isWatching = false;
  /** Where the line ends that `#readLength` read last. */
  #next = 0;

  constructor(rewrite: Rewrite) {
    this.#rewrite = rewrite;
  }

  /** Whether the client stands between two commands, outside of a transaction, and no key is watched for one. */
  get isPause(): boolean {
    const isBetween = this.#held.length === 0 && this.#argsLeft === 0 && this.#bytesLeft === 0 && !this.#inInline;
    return isBetween && !this.#isQueueing && !this.#isWatching;
  }

  /** What is sent for a piece: the very same where nothing was changed, else bytes of their own. */
  scan(chunk: Buffer): Buffer {
    if (this.#isLost) return chunk;
    const data = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const sent: Buffer[] = [];
    let from = 0;
    let at = 0;
    while (at < data.length && !this.#isLost) {
      const past = this.#pass(data, at);
      if (past > at) {
        at = past;
        continue;
      }
      const command = past === NONE ? this.#readCommand(data, at) : undefined;
      if (command === undefined) break; // incomplete
      const instead = command.args === undefined ? undefined : this.#rewrite(command.args);
      if (instead !== undefined) {
        sent.push(data.subarray(from, at), instead);
        from = command.end;
      }
      at = command.end;
    }
    if (this.#isLost) at = data.length;
    this.#held = at === data.length ? nothing : Buffer.from(data.subarray(at));
    if (data === chunk && from === 0 && at === chunk.length) return chunk;
    return Buffer.concat([...sent, data.subarray(from, at)]);
  }

  /** Where what may pass as it is ends: of a value, of a line, or the next value's length. NONE where a command begins here; `at` itself where more is needed. */
  #pass(data: Buffer, at: number): number {
    if (this.#bytesLeft > 0) {
      const step = Math.min(this.#bytesLeft, data.length - at);
      this.#bytesLeft -= step;
      return at + step;
    }
    if (this.#inInline) {
      const end = data.indexOf(LF, at);
      this.#inInline = end === -1;
      return end === -1 ? data.length : end + 1;
    }
    if (this.#argsLeft === 0) return NONE;
    const length = this.#readLength(data, at, DOLLAR);
    if (length === INCOMPLETE) return at;
    if (length === INVALID) return this.#lose(data);
    this.#argsLeft--;
    this.#bytesLeft = length + 2;
    return this.#next;
  }

  /** Reads a command as far as it must be known: `args` are given for one that may be rewritten. Undefined where more bytes are needed. */
  #readCommand(data: Buffer, at: number): { readonly end: number; readonly args?: Command } | undefined {
    if (data[at] !== STAR) return this.#readInline(data, at);
    const count = this.#readLength(data, at, STAR);
    if (count === INCOMPLETE) return undefined;
    if (count === INVALID) return { end: this.#lose(data) };
    const first = this.#next;
    if (count === 0) return { end: first };
    const length = this.#readLength(data, first, DOLLAR);
    if (length === INCOMPLETE) return undefined;
    if (length === INVALID) return { end: this.#lose(data) };
    const name = this.#next;
    if (length === 4 || length === 5 || length === 7) {
      if (data.length < name + length) return undefined;
      this.#track(data, name, length, count);
      if (isRewritten(data, name, length) && count <= REWRITTEN_ARGS) {
        const command = this.#readArgs(data, first, count);
        if (command !== "too long") return command;
      }
    }
    this.#argsLeft = count - 1;
    this.#bytesLeft = length + 2;
    return { end: name };
  }

  #readArgs(data: Buffer, first: number, count: number): { readonly end: number; readonly args?: Command } | "too long" | undefined {
    const args: Buffer[] = [];
    let at = first;
    while (args.length < count) {
      const length = this.#readLength(data, at, DOLLAR);
      if (length === INVALID) return { end: this.#lose(data) };
      if (length === INCOMPLETE) return undefined;
      if (this.#next + length - first > REWRITTEN_BYTES) return "too long";
      if (data.length < this.#next + length + 2) return undefined;
      args.push(data.subarray(this.#next, this.#next + length));
      at = this.#next + length + 2;
    }
    return { end: at, args };
  }

  #readInline(data: Buffer, at: number): { readonly end: number; readonly args?: Command } | undefined {
    const newline = data.indexOf(LF, at);
    const line = data.toString("latin1", at, newline === -1 ? Math.min(data.length, at + REWRITTEN_BYTES + 1) : newline);
    if (!/^\s*(?:["'adehmruw]|$)/i.test(line) || line.length > REWRITTEN_BYTES) {
      this.#inInline = true;
      return { end: at }; // the rest of the line passes
    }
    if (newline === -1) return undefined;
    const args = splitInline(line)?.map((word) => Buffer.from(word, "latin1"));
    const [name] = args ?? [];
    if (args !== undefined && name !== undefined) this.#track(name, 0, name.length, args.length);
    if (args === undefined || name === undefined || !isRewritten(name, 0, name.length)) return { end: newline + 1 };
    return { end: newline + 1, args };
  }

  /** Follows transactions, as a server does with commands that have as many arguments as they must. */
  #track(data: Buffer, at: number, length: number, count: number): void {
    const first = (data[at] ?? 0) | 0x20; // most names end here
    if (first !== 0x6d && first !== 0x65 && first !== 0x64 && first !== 0x77 && first !== 0x75 && first !== 0x72) return;
    const name = data.toString("latin1", at, at + length).toUpperCase();
    if (name === "WATCH") this.#isWatching ||= count > 1;
    else if (count !== 1) return;
    else if (name === "MULTI") this.#isQueueing = true;
    else if (name === "UNWATCH") this.#isWatching &&= this.#isQueueing;
    else if (name === "RESET" || (this.#isQueueing && (name === "EXEC" || name === "DISCARD"))) this.#isQueueing = this.#isWatching = false;
  }

  /** The number of `*3\r\n` or `$5\r\n`; 0 for the lengths below it that `*` may have. INCOMPLETE, INVALID. */
  #readLength(data: Buffer, at: number, marker: number): number {
    if (at >= data.length) return INCOMPLETE;
    if (data[at] !== marker) return INVALID;
    let digit = at + 1;
    const isNegative = marker === STAR && data[digit] === MINUS;
    if (isNegative) digit++;
    let value = 0;
    for (const start = digit; digit - start < 15; digit++) {
      if (digit >= data.length) return INCOMPLETE;
      const code = data[digit] ?? 0;
      if (code === CR) {
        if (digit === start) return INVALID;
        if (digit + 1 >= data.length) return INCOMPLETE;
        this.#next = digit + 2;
        return isNegative ? 0 : value;
      }
      if (code < ZERO || code > 0x39) return INVALID;
      value = value * 10 + (code - ZERO);
    }
    return INVALID;
  }

  #lose(data: Buffer): number {
    this.#isLost = true;
    return data.length;
  }
}

/** Whether the name at `at` is AUTH, HELLO or RESET, in any case. */
function isRewritten(data: Buffer, at: number, length: number): boolean {
  if (length !== 4 && length !== 5) return false;
  const first = (data[at] ?? 0) | 0x20; // most names end here
  if (first !== 0x61 && first !== 0x68 && first !== 0x72) return false;
  const name = data.toString("latin1", at, at + length).toUpperCase();
  return name === "AUTH" || name === "HELLO" || name === "RESET";
}
