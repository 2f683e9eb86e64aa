import { contain, startInterval, type Timer } from "@peapod/kit";
import { nativeError } from "./native.ts";
import { CLIENT, UPSTREAM } from "./pump/counts.ts";
import { type Loan, type LoanEnd, pump } from "./pump/pump.ts";
import type { Sink, Wire } from "./wire.ts";

/** What happens to bytes on their way. Without a tap they pass untouched. */
export interface Splice {
  /** Called with each piece, which is valid only during the call; gives what is to be sent on, or the same piece. */
  readonly fromClient?: (chunk: Buffer) => Buffer;
  readonly fromUpstream?: (chunk: Buffer) => Buffer;
  /** Once aborted, the connection finishes (see Splicing.finish). */
  readonly finish?: AbortSignal;
  /** Asked at a pause where the connection is to finish, where the protocol shows more: false where ending now would lose something. */
  readonly isPause?: () => boolean;
}

/** How two wires that were spliced ended. */
export interface SpliceResult {
  /** Which side ended, or broke, first; `upstream` where `finish` ended both. */
  readonly endedBy: "client" | "upstream";
  /** What broke it: `ECONNRESET` and its like; undefined for an orderly end. */
  readonly errorCode: string | undefined;
}

type Side = SpliceResult["endedBy"];

/** A connection that is to finish does so when nothing came for so long. */
const PAUSE_MS = 50;

/** After so many pieces a connection is one that goes on, and worth what it costs to hand it to the pump and back: some 30 us. */
const PIECES_BEFORE_PUMP = 64;

/** Passes bytes both ways, what was read ahead first, until both sides have ended; a broken side ends the other at once. */
export function splice(client: Wire, upstream: Wire, taps: Splice = {}): Splicing {
  return new Splicing(client, upstream, taps);
}

/** Two wires that are spliced, until both are closed. */
export class Splicing {
  /** Rejects with what a tap threw, once both are closed. */
  readonly done: Promise<SpliceResult>;
  /** Who sent last, while bytes pass here. Undefined: nobody, which is a pause too. */
  lastFrom: Side | undefined;
  /** Until it is time to see whether the pump could take over. */
  piecesLeft = PIECES_BEFORE_PUMP;
  readonly #client: Wire;
  readonly #upstream: Wire;
  readonly #taps: Splice;
  readonly #resolve: (result: SpliceResult) => void;
  readonly #reject: (cause: unknown) => void;
  #endedBy: Side | undefined;
  #errorCode: string | undefined;
  #isBroken = false;
  #bug: { readonly cause: unknown } | undefined;
  #open = 2;
  #pauses: Timer | undefined;
  #loan: Loan | undefined;
  /** The pump is to take over as soon as it can. */
  #isDue = false;

  constructor(client: Wire, upstream: Wire, taps: Splice) {
    this.#client = client;
    this.#upstream = upstream;
    this.#taps = taps;
    const { promise, resolve, reject } = Promise.withResolvers<SpliceResult>();
    this.done = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    client.pour(new OneWay(this, "client", client, upstream, taps.fromClient));
    upstream.pour(new OneWay(this, "upstream", upstream, client, taps.fromUpstream));
    if (taps.finish?.aborted === true) this.finish();
    else if (this.#open > 0) taps.finish?.addEventListener("abort", this.#finish, { once: true });
  }

  /** Ends the connection at its next pause: the last bytes went to the client, and for 50 ms none came and none were kept. Safe to repeat. */
  finish(): void {
    if (this.#pauses !== undefined || this.#open === 0) return;
    let before = this.#progress();
    const look = (): void => {
      const now = this.#progress();
      const isQuiet = now.bytes === before.bytes && now.kept === 0 && before.kept === 0 && !this.#isAsking;
      if (isQuiet && this.#taps.isPause?.() !== false) this.break("upstream", undefined);
      before = now;
    };
    this.#pauses = startInterval(
      contain(look, (cause) => this.fail("client", cause)),
      PAUSE_MS,
    );
  }

  /** What came, and what of it is kept: a side is not read while anything is, and may have more to say. */
  #progress(): { readonly bytes: number; readonly kept: number } {
    const [client, upstream] = [this.#client, this.#upstream];
    return { bytes: client.bytesRead + upstream.bytesRead, kept: client.unsent + upstream.unsent };
  }

  /** Whether the client sent last. */
  get #isAsking(): boolean {
    const last = this.#loan?.lastFrom;
    return last === undefined ? this.lastFrom === "client" : last === CLIENT;
  }

  /** Has the pump take over, once the event loop has done with what it has; where it cannot, sees again later. */
  toPump(): void {
    if (this.#taps.fromClient !== undefined || this.#taps.fromUpstream !== undefined) return; // piecesLeft goes on below 0
    this.piecesLeft = PIECES_BEFORE_PUMP;
    this.#isDue = true;
    setImmediate(
      contain(
        () => this.lendIfDue(),
        (cause) => this.fail("client", cause),
      ),
    );
  }

  /** At a moment when nothing is kept for a side: of a stream that never pauses there may be no other. Tells whether the pump has it now. */
  lendIfDue(): boolean {
    if (this.#isDue) this.#lend();
    return this.#loan !== undefined;
  }

  #lend(): void {
    const [client, upstream] = [this.#client.lendable, this.#upstream.lendable];
    if (client === undefined || upstream === undefined || this.#loan !== undefined) return;
    const onOver = ({ side, first, errno }: LoanEnd): void => {
      this.ended(first === CLIENT ? "client" : "upstream");
      (side === CLIENT ? client : upstream).endLoan(errno === 0 ? undefined : nativeError("read", -errno));
    };
    const loan = pump.lend({ client: client.fd, upstream: upstream.fd }, onOver);
    if (loan === undefined) return;
    this.#loan = loan;
    client.lendTo(loan, CLIENT);
    upstream.lendTo(loan, UPSTREAM);
  }

  /** A side sends no more. */
  ended(side: Side): void {
    this.#endedBy ??= side;
  }

  /** Something that has to do with this connection's bytes threw: it ends both sides, and `done` rejects with it. */
  fail(side: Side, cause: unknown): void {
    this.#bug ??= { cause };
    this.break(side, cause instanceof Error ? cause : new Error(String(cause)));
  }

  /** A side is of no use any more: ends both. */
  break(side: Side, error: Error | undefined): void {
    if (this.#isBroken) return; // what is said while the two are being ended
    this.#isBroken = true;
    if (error !== undefined) this.#errorCode ??= "code" in error ? String(error.code) : "ECONNRESET";
    this.#endedBy ??= side;
    for (const wire of [this.#client, this.#upstream])
      if (error === undefined) wire.destroy();
      else wire.reset();
  }

  /** A side is closed. */
  closed(): void {
    this.#open -= 1;
    if (this.#open > 0) return;
    this.#pauses?.[Symbol.dispose]();
    this.#taps.finish?.removeEventListener("abort", this.#finish);
    if (this.#bug === undefined) this.#resolve({ endedBy: this.#endedBy ?? "client", errorCode: this.#errorCode });
    else this.#reject(this.#bug.cause);
  }

  readonly #finish = (): void => this.finish();
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
    const splicing = this.#splicing;
    splicing.lastFrom = this.#side;
    if ((splicing.piecesLeft -= 1) === 0) splicing.toPump();
    if (this.#tap === undefined) return this.#to.send(buffer, count, isOwned, this);
    let sent: Buffer;
    try {
      sent = this.#tap(buffer.subarray(0, count));
    } catch (cause) {
      splicing.fail(this.#side, cause);
      return false;
    }
    return sent.length === 0 || this.#to.send(sent, sent.length, isOwned, this);
  }

  /** The receiver has taken what it was sent. */
  onRoom(): void {
    if (!this.#splicing.lendIfDue()) this.#from.resume();
  }

  /** Once the other direction has ended too there is nothing to wait for, and closing says what a shutdown would; TLS has a word of its own for it. */
  end(): void {
    this.#isOver = true;
    this.#splicing.ended(this.#side);
    const isPlain = this.#to.tls === undefined && this.#from.tls === undefined;
    if (isPlain && this.#to.isAtEnd && this.#to.unsent === 0 && this.#from.unsent === 0) {
      this.#to.destroy();
      this.#from.destroy();
    } else this.#to.end();
  }

  /** A side that has ended both ways closes, while the last bytes may still be on their way to the other. */
  close(error: Error | undefined): void {
    if (error !== undefined || !this.#isOver || !this.#to.isAtEnd) this.#splicing.break(this.#side, error);
    this.#splicing.closed();
  }
}
