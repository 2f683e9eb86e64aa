import type { Target } from "../../upstream/upstream.ts";

/** Which server issued the key of each living session, so that a cancel request goes there and nowhere else. */
export class CancelKeys {
  readonly #targets = new Map<string, Target>();

  /** How many sessions there are. */
  get size(): number {
    return this.#targets.size;
  }

  /** Remembers the body of a BackendKeyData until it is disposed of. */
  add(key: Buffer, target: Target): Disposable {
    const text = key.toString("latin1");
    this.#targets.set(text, target);
    return {
      [Symbol.dispose]: () => {
        if (this.#targets.get(text) === target) this.#targets.delete(text); // two servers may have issued the same
      },
    };
  }

  /** The server whose session has this key. */
  find(key: Buffer): Target | undefined {
    return this.#targets.get(key.toString("latin1"));
  }
}
