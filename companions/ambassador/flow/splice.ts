import type { Sink, Wire } from "./wire.ts";

/** What happens to bytes on their way. Without a tap they pass untouched. */
export interface Splice {
  /** Called with each piece, which is valid only during the call; gives what is to be sent on, or the same piece. */
  readonly fromClient?: (chunk: Buffer) => Buffer;
  readonly fromUpstream?: (chunk: Buffer) => Buffer;
  /** Once aborted, the connection is ended at its next pause: the last bytes went to the client, and none came for 50 ms. */
  readonly finish?: AbortSignal;
  /** Asked at such a pause, where the protocol shows more: false where ending now would lose something. */
  readonly isPause?: () => boolean;
}

/** How two wires that were spliced ended. */
export interface SpliceResult {
  /** Which side ended, or broke, first; `upstream` where `finish` ended both. */
  readonly endedBy: "client" | "upstream";
  /** What broke it: `ECONNRESET` and its like; undefined for an orderly end. */
  readonly errorCode: string | undefined;
}

/** A connection that is to finish does so when nothing came for so long. */
const PAUSE_MS = 50;

/** Passes bytes both ways, what was read ahead first, until both sides have ended; a broken side ends the other at once. */
export async function splice(client: Wire, upstream: Wire, taps: Splice = {}): Promise<SpliceResult> {
  const splicing = new Splicing(client, upstream);
  client.pour(new OneWay(splicing, "client", client, upstream, taps.fromClient));
  upstream.pour(new OneWay(splicing, "upstream", upstream, client, taps.fromUpstream));
  const { finish } = taps;
  const stop = finish === undefined ? undefined : splicing.finishWhenQuiet(finish, taps.isPause);
  await client.closed;
  await upstream.closed;
  stop?.();
  return { endedBy: splicing.endedBy ?? "client", errorCode: splicing.errorCode };
}

type Side = SpliceResult["endedBy"];

/** What the two directions of a connection share. */
class Splicing {
  readonly #client: Wire;
  readonly #upstream: Wire;
  #isBroken = false;
  endedBy: Side | undefined;
  errorCode: string | undefined;
  /** Who sent last. Undefined: nobody, which is a pause too. */
  lastFrom: Side | undefined;

  constructor(client: Wire, upstream: Wire) {
    this.#client = client;
    this.#upstream = upstream;
  }

  break(side: Side, error: Error | undefined): void {
    if (this.#isBroken) return; // what is said while the two are being ended
    this.#isBroken = true;
    if (error !== undefined) this.errorCode ??= "code" in error ? String(error.code) : "ECONNRESET";
    this.endedBy ??= side;
    for (const wire of [this.#client, this.#upstream])
      if (error === undefined) wire.destroy();
      else wire.reset();
  }

  /** Gives what takes it back. */
  finishWhenQuiet(finish: AbortSignal, isPause = (): boolean => true): () => void {
    let timer: NodeJS.Timeout | undefined;
    const begin = (): void => {
      let before = this.#client.bytesRead + this.#upstream.bytesRead;
      timer = setInterval(() => {
        const now = this.#client.bytesRead + this.#upstream.bytesRead;
        if (now === before && this.lastFrom !== "client" && this.#client.unsent === 0 && isPause()) this.break("upstream", undefined);
        before = now;
      }, PAUSE_MS);
    };
    if (finish.aborted) begin();
    else finish.addEventListener("abort", begin, { once: true });
    return () => {
      finish.removeEventListener("abort", begin);
      clearInterval(timer);
    };
  }
}

/** One direction. It has no state of its own while bytes flow: what the receiver does not take stops the sender. */
class OneWay implements Sink {
  readonly #splicing: Splicing;
  readonly #side: Side;
  readonly #from: Wire;
  readonly #to: Wire;
  readonly #tap: ((chunk: Buffer) => Buffer) | undefined;
  #isOver = false;

  constructor(splicing: Splicing, side: Side, from: Wire, to: Wire, tap: ((chunk: Buffer) => Buffer) | undefined) {
    this.#splicing = splicing;
    this.#side = side;
    this.#from = from;
    this.#to = to;
    this.#tap = tap;
  }

  pass(buffer: Buffer, count: number, isOwned: boolean): boolean {
    this.#splicing.lastFrom = this.#side;
    if (this.#tap === undefined) return this.#to.send(buffer, count, isOwned, this.#onRoom);
    const sent = this.#tap(buffer.subarray(0, count));
    return sent.length === 0 || this.#to.send(sent, sent.length, isOwned, this.#onRoom);
  }

  /** Once the other direction has ended too there is nothing to wait for, and closing says what a shutdown would. */
  end(): void {
    this.#isOver = true;
    this.#splicing.endedBy ??= this.#side;
    if (this.#to.isAtEnd && this.#to.unsent === 0 && this.#from.unsent === 0) {
      this.#to.destroy();
      this.#from.destroy();
    } else this.#to.end();
  }

  /** A side that has ended both ways closes, while the last bytes may still be on their way to the other. */
  close(error: Error | undefined): void {
    if (error === undefined && this.#isOver && this.#to.isAtEnd) return;
    this.#splicing.break(this.#side, error);
  }

  readonly #onRoom = (): void => this.#from.resume();
}
