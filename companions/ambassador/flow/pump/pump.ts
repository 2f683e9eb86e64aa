import { writeSync } from "node:fs";
import { constants } from "node:os";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { CLIENT, Counts, PLACES, type SideIndex, UPSTREAM } from "./counts.ts";
import type { PumpCommand, PumpData, PumpEvent } from "./messages.ts";

/** How a loan ended: both sides have ended, the last of them `side`; or that side broke, if `errno` is not 0. */
export interface LoanEnd {
  readonly side: SideIndex;
  /** Which side ended, or broke, first. */
  readonly first: SideIndex;
  readonly errno: number;
}

/** The pump's thread is small: it has one buffer, and its connections. */
const resourceLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64, stackSizeMb: 1 };

const WAKE = Buffer.from(new BigUint64Array([1n]).buffer);

/**
 * Passes the bytes of connections that live for longer than a moment, in a thread that does nothing else: its own wait for sockets, a read and a write,
 * without the event loop and the calls between it and JavaScript, which cost as much again as all that is done here. It starts with
 * the first connection that is for it. Where it cannot (koffi has no file for this machine), connections stay with the event loop, and nothing is lost
 * but speed.
 */
export class Pump {
  readonly #counts = new Counts();
  /** By place. Not a Map, for the reason that roster.ts has: what was in one of its tables would stay until a full collection. */
  readonly #loans: (Loan | undefined)[] = [];
  #size = 0;
  /** Places that were used, and are free. */
  readonly #free: number[] = [];
  #fresh = 0;
  #port: MessagePort | undefined;
  #waker: number | undefined;
  #failure: Error | undefined;
  readonly #threadFile: URL;
  readonly #failed = Promise.withResolvers<Error>();

  constructor(threadFile: URL = new URL(import.meta.url.endsWith(".ts") ? "./thread.ts" : "./thread.mjs", import.meta.url)) {
    this.#threadFile = threadFile; // beside the program, in an image
  }

  /** Connections that it has now. */
  get size(): number {
    return this.#size;
  }

  /** Resolves when it does not work here, or no more, with the reason. */
  get failed(): Promise<Error> {
    return this.#failed.promise;
  }

  /**
   * Takes two sockets, which must be connected, not block, and be left alone until the loan is over: `onOver` says so, unless the loan is ended before.
   * Undefined: not now. The first call starts the thread, and is too early.
   */
  lend(fds: { readonly client: number; readonly upstream: number }, onOver: (end: LoanEnd) => void): Loan | undefined {
    if (this.#port === undefined) this.#start();
    if (this.#waker === undefined || this.#failure !== undefined) return undefined;
    const place = this.#free.pop() ?? (this.#fresh < PLACES ? this.#fresh++ : undefined);
    if (place === undefined) return undefined;
    this.#counts.clear(place);
    const loan = new Loan(place, this.#counts, onOver, () => this.#tell({ kind: "give back", place }));
    this.#loans[place] = loan;
    this.#size += 1;
    this.#tell({ kind: "take", place, ...fds });
    return loan;
  }

  #start(): void {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const data: PumpData = { port: port2, memory: this.#counts.memory };
    try {
      const options = { name: "pump", workerData: data, transferList: [port2], resourceLimits, execArgv: [] };
      new Worker(this.#threadFile, options).once("error", (error) => this.#fail(error)).unref();
    } catch (cause) {
      return this.#fail(cause instanceof Error ? cause : new Error(String(cause))); // no more threads for this user or container
    }
    port1.on("message", (event: PumpEvent) => this.#hear(event)).unref();
    process.once("exit", () => this.#tell({ kind: "stop" })); // Node waits for its threads, and this one is in the kernel
  }

  #tell(command: PumpCommand): void {
    if (this.#waker === undefined || this.#failure !== undefined) return;
    this.#port?.postMessage(command);
    writeSync(this.#waker, WAKE);
  }

  #hear(event: PumpEvent): void {
    if (event.kind === "ready") return this.#begin(event.waker);
    const loan = this.#loans[event.place];
    if (loan === undefined) return; // the thread failed, and it is over
    this.#loans[event.place] = undefined;
    this.#size -= 1;
    loan.over(event.kind === "over" ? event : undefined);
    this.#free.push(event.place);
  }

  /** Says that its waker is known here: until then it looks by itself whether it is to stop. */
  #begin(waker: number): void {
    this.#waker = waker;
    writeSync(waker, WAKE);
  }

  /** The thread is gone, and what was lent to it is in no known state. */
  #fail(error: Error): void {
    this.#failure = error;
    this.#failed.resolve(error);
    this.#size = 0;
    for (const loan of this.#loans.splice(0)) loan?.over({ side: UPSTREAM, first: UPSTREAM, errno: constants.errno.ECONNABORTED });
  }
}

/** Two sockets that the pump has. */
export class Loan {
  readonly #place: number;
  readonly #counts: Counts;
  readonly #onOver: (end: LoanEnd) => void;
  readonly #ask: () => void;
  /** What is to be done with the sockets once they are back. */
  #closers: (() => void)[] | undefined;
  #isOver = false;
  /** What was counted when it was over: the place is another connection's then. */
  #final: { readonly bytes: readonly [number, number]; readonly last: SideIndex | undefined } | undefined;

  constructor(place: number, counts: Counts, onOver: (end: LoanEnd) => void, ask: () => void) {
    this.#place = place;
    this.#counts = counts;
    this.#onOver = onOver;
    this.#ask = ask;
  }

  bytesFrom(side: SideIndex): number {
    return this.#final === undefined ? this.#counts.bytesFrom(this.#place, side) : this.#final.bytes[side];
  }

  /** Bytes that are kept until a side takes them. */
  unsentTo(side: SideIndex): number {
    return this.#isOver ? 0 : this.#counts.unsentTo(this.#place, side);
  }

  get lastFrom(): SideIndex | undefined {
    return this.#final === undefined ? this.#counts.lastFrom(this.#place) : this.#final.last;
  }

  /** Wants the sockets back, to close them; calls back once the pump does not touch them any more. `onOver` is not called then. */
  end(close: () => void): void {
    if (this.#isOver) return close();
    if (this.#closers === undefined) this.#ask();
    (this.#closers ??= []).push(close);
  }

  /** The pump's: it does not touch them any more. */
  over(end: LoanEnd | undefined): void {
    this.#final = { bytes: [this.bytesFrom(CLIENT), this.bytesFrom(UPSTREAM)], last: this.lastFrom };
    this.#isOver = true;
    for (const close of this.#closers ?? []) close();
    if (this.#closers === undefined && end !== undefined) this.#onOver(end);
  }
}

/** One for the process, since a thread is. */
export const pump = new Pump();
