/** ReadyForQuery, and that no transaction is open. */
const IDLE = Buffer.from("5a0000000549", "hex");

/** Sees whether a server stands between two transactions: it said so, and nothing since. Keeps the last bytes, and compares when asked. */
export class IdleWatch {
  readonly #last = Buffer.from(IDLE);

  /** Takes the next piece of what the server sends, wherever it was cut. */
  see(chunk: Buffer): void {
    const size = Math.min(chunk.length, IDLE.length);
    this.#last.copyWithin(0, size);
    chunk.copy(this.#last, IDLE.length - size, chunk.length - size);
  }

  get isIdle(): boolean {
    return this.#last.equals(IDLE);
  }
}
