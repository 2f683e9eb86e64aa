import { readSync } from "node:fs";
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { CLIENT, type Counts, type SideIndex, UPSTREAM } from "./counts.ts";
import type { PumpCommand, PumpEvent } from "./messages.ts";
import { CallFailure, EPOLL, errno, errorOf, makeWaker, Poll, receive, send, sendEnd, wouldWait } from "./sockets.ts";

/** What is read when little comes. */
const NARROW_BYTES = 32 * 1024;
/** What is read at a time when much comes. */
const WIDE_BYTES = 1024 * 1024;
/** While so many receivers are slow, reads are narrow: what one does not take is kept for it. */
const SLOW_RECEIVERS = 64;

/** So long it waits at a time while the process may end without being able to wake it: a thread that waits cannot be ended. */
const UNKNOWN_WAIT_MS = 100;

/** One socket of a connection. */
interface Side {
  readonly fd: number;
  readonly index: SideIndex;
  readonly place: number;
  /** What happens to it that we want to hear of: EPOLL's bits. Undefined: nothing at all, it is not in the poll. */
  interest: number | undefined;
  /** Its last read was full. */
  isWide: boolean;
  /** It sends no more. */
  hasEnded: boolean;
  /** What it has not taken yet. The other side is not read until it has. */
  kept: Buffer | undefined;
  other: Side | undefined;
}

interface Connection {
  readonly client: Side;
  readonly upstream: Side;
  endedFirst: SideIndex | undefined;
}

/**
 * Passes bytes between pairs of sockets, in a thread of its own, which it blocks until it is told to stop, as the process ends. If it fails before, its
 * poll and its waker stay open on purpose: the main thread may write to the waker yet, and would write into whatever had its number then.
 */
export class PumpLoop {
  readonly #port: MessagePort;
  readonly #counts: Counts;
  readonly #poll = new Poll();
  readonly #waker = makeWaker();
  /** By descriptor. */
  readonly #sides: (Side | undefined)[] = [];
  /** By place. */
  readonly #connections: (Connection | undefined)[] = [];
  /** What is read here is sent, or copied, before the next read. */
  readonly #buffer = Buffer.allocUnsafeSlow(WIDE_BYTES);
  readonly #woken = Buffer.alloc(8);
  #slowReceivers = 0;
  #isStopped = false;
  /** It was woken once, and so can be. */
  #isKnown = false;

  constructor(port: MessagePort, counts: Counts) {
    this.#port = port;
    this.#counts = counts;
  }

  run(): void {
    this.#poll.add(this.#waker, EPOLL.IN);
    this.#tell({ kind: "ready", waker: this.#waker });
    while (!this.#isStopped) {
      const count = this.#poll.wait(this.#isKnown ? -1 : UNKNOWN_WAIT_MS);
      for (let index = 0; index < count; index += 1) {
        const fd = this.#poll.fdOf(index);
        const side = this.#sides[fd];
        if (side !== undefined) this.#serve(side, this.#poll.happenedAt(index));
        else if (fd === this.#waker) this.#obey();
      }
    }
  }

  #obey(): void {
    readSync(this.#waker, this.#woken);
    this.#isKnown = true;
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) return;
      const command = received.message as PumpCommand; // ours: see pump.ts
      if (command.kind === "take") this.#take(command);
      else if (command.kind === "stop") this.#isStopped = true;
      else if (this.#forget(command.place) !== undefined) this.#tell({ kind: "back", place: command.place });
    }
  }

  #take({ place, client, upstream }: Extract<PumpCommand, { kind: "take" }>): void {
    const one = newSide(client, CLIENT, place);
    const other = newSide(upstream, UPSTREAM, place);
    one.other = other;
    other.other = one;
    this.#connections[place] = { client: one, upstream: other, endedFirst: undefined };
    this.#sides[client] = one;
    this.#sides[upstream] = other;
    try {
      for (const side of [one, other]) this.#want(side, EPOLL.IN);
    } catch (cause) {
      if (!(cause instanceof CallFailure)) throw cause;
      this.#over(one, cause.errno); // the kernel has no room for it, and the others are not to suffer
    }
  }

  /** What the kernel refuses for one connection ends that one: the others are not to suffer. */
  #serve(side: Side, happened: number): void {
    try {
      this.#attend(side, happened);
    } catch (cause) {
      if (!(cause instanceof CallFailure)) throw cause;
      this.#over(side, cause.errno);
    }
  }

  #attend(side: Side, happened: number): void {
    if ((happened & (EPOLL.OUT | EPOLL.HUP)) !== 0) this.#flush(side); // a UNIX socket may hang up without room: what is kept for it can go nowhere
    if (side.other === undefined) return; // that was its end
    if (wants(side, EPOLL.IN)) {
      if ((happened & ~EPOLL.OUT) !== 0) this.#read(side, side.other);
    } else if ((happened & EPOLL.ERR) !== 0 && side.hasEnded) this.#over(side, errorOf(side.fd));
    else if ((happened & (EPOLL.ERR | EPOLL.HUP)) !== 0) this.#want(side, undefined); // it would be told again and again, and what came is yet to be read
  }

  #read(from: Side, to: Side): void {
    const count = receive(from.fd, this.#buffer, from.isWide && this.#slowReceivers < SLOW_RECEIVERS ? WIDE_BYTES : NARROW_BYTES);
    if (count > 0) {
      from.isWide = count >= NARROW_BYTES;
      this.#counts.add(from.place, from.index, count);
      const sent = send(to.fd, this.#buffer, count);
      if (sent === count) return;
      if (sent < 0 && !wouldWait()) return this.#over(to, errno());
      this.#keep(Buffer.from(this.#buffer.subarray(Math.max(sent, 0), count)), from, to);
    } else if (count === 0) this.#ended(from, to);
    else if (!wouldWait()) this.#over(from, errno());
  }

  #keep(rest: Buffer, from: Side, to: Side): void {
    to.kept = rest;
    this.#slowReceivers += 1;
    this.#counts.setUnsent(to.place, to.index, rest.length);
    this.#want(from, without(from.interest, EPOLL.IN));
    this.#want(to, (to.interest ?? 0) | EPOLL.OUT);
  }

  /** Sends what was kept for a side. */
  #flush(to: Side): void {
    const { kept, other: from } = to;
    if (kept === undefined || from === undefined) return;
    const sent = send(to.fd, kept, kept.length);
    if (sent < 0) return wouldWait() ? undefined : this.#over(to, errno());
    this.#counts.setUnsent(to.place, to.index, kept.length - sent);
    if (sent < kept.length) return void (to.kept = kept.subarray(sent));
    to.kept = undefined;
    this.#slowReceivers -= 1;
    this.#want(to, without(to.interest, EPOLL.OUT));
    if (from.hasEnded) this.#passEnd(from, to);
    else this.#want(from, (from.interest ?? 0) | EPOLL.IN);
  }

  #ended(from: Side, to: Side): void {
    from.hasEnded = true;
    const connection = this.#connections[from.place];
    if (connection !== undefined) connection.endedFirst ??= from.index;
    this.#want(from, without(from.interest, EPOLL.IN));
    if (to.kept === undefined) this.#passEnd(from, to);
  }

  /** Once both sides have ended, and took what was for them, closing says what a shutdown would. */
  #passEnd(from: Side, to: Side): void {
    const isOver = to.hasEnded && from.kept === undefined;
    if (isOver) this.#over(from, 0);
    else sendEnd(to.fd);
  }

  #over(side: Side, code: number): void {
    const connection = this.#forget(side.place);
    const first = connection?.endedFirst ?? side.index;
    this.#tell({ kind: "over", place: side.place, side: side.index, first, errno: code });
  }

  /** Has nothing to do with a connection any more. */
  #forget(place: number): Connection | undefined {
    const connection = this.#connections[place];
    if (connection === undefined) return undefined;
    this.#connections[place] = undefined;
    for (const side of [connection.client, connection.upstream]) {
      this.#want(side, undefined);
      if (side.kept !== undefined) this.#slowReceivers -= 1;
      side.other = undefined;
      this.#sides[side.fd] = undefined;
    }
    return connection;
  }

  #want(side: Side, interest: number | undefined): void {
    if (side.interest === interest) return;
    if (interest === undefined) this.#poll.delete(side.fd);
    else if (side.interest === undefined) this.#poll.add(side.fd, interest);
    else this.#poll.change(side.fd, interest);
    side.interest = interest;
  }

  #tell(event: PumpEvent): void {
    this.#port.postMessage(event);
  }
}

function newSide(fd: number, index: SideIndex, place: number): Side {
  return { fd, index, place, interest: undefined, isWide: false, hasEnded: false, kept: undefined, other: undefined };
}

function wants({ interest }: Side, bit: number): boolean {
  return interest !== undefined && (interest & bit) !== 0;
}

/** What is not in the poll stays out of it. */
function without(interest: number | undefined, bit: number): number | undefined {
  return interest === undefined ? undefined : interest & ~bit;
}
