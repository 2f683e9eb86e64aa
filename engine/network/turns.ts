/** Has what is done for one key go one after the other; what is done for others goes on meanwhile. */
export class Turns<K> {
  readonly #last = new Map<K, Promise<unknown>>();

  async take<T>(key: K, work: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(key) ?? Promise.resolve()).then(work);
    const settled = turn.then(
      () => {},
      () => {}, // its caller hears of it; the next one need not
    );
    this.#last.set(key, settled);
    try {
      return await turn;
    } finally {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    }
  }
}
