import type { OnBehalfOf } from "../../upstream/dial-upstream.ts";

/** Sends a cancel request to the very server that a session runs at, in the way that the session was made. */
export type SendCancel = (key: Buffer, onBehalfOf: OnBehalfOf, signal: AbortSignal) => Promise<void>;

/** How to cancel what each living session does, by the key that its server issued. */
export class CancelKeys {
  readonly #senders = new Map<string, SendCancel>();

  /** How many sessions there are. */
  get size(): number {
    return this.#senders.size;
  }

  /** Remembers the body of a BackendKeyData until it is disposed of. */
  add(key: Buffer, send: SendCancel): Disposable {
    const text = key.toString("latin1");
    this.#senders.set(text, send);
    return {
      [Symbol.dispose]: () => {
        if (this.#senders.get(text) === send) this.#senders.delete(text); // two servers may have issued the same
      },
    };
  }

  /** Undefined for a key that no living session has. */
  find(key: Buffer): SendCancel | undefined {
    return this.#senders.get(key.toString("latin1"));
  }
}
