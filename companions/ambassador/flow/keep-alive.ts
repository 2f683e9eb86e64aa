import { startInterval, type Timer } from "@peapod/kit";
import { Roster, type Rostered } from "./roster.ts";

/** What can be kept alive. */
interface Keepable extends Rostered {
  /** Has the kernel probe the other side. */
  probe(): void;
}

/** How long a connection lives before it is seen to, at least; at most it is twice that. */
const SPARED_MS = 1_000;

/**
 * Has the kernel probe connections that live for longer than a moment. That is four system calls for each, which would be a twentieth of
 * what a short connection costs, and no probe is due before many seconds have passed.
 */
class KeepAlive {
  /** Since the last turn of the timer. */
  #young = new Roster<Keepable>();
  /** Since the turn before. */
  #old = new Roster<Keepable>();
  #timer: Timer | undefined;

  add(connection: Keepable): void {
    this.#young.add(connection);
    this.#timer ??= startInterval(() => this.#turn(), SPARED_MS).unref();
  }

  /** For one that is closed. */
  delete(connection: Keepable): void {
    if (!this.#young.delete(connection)) this.#old.delete(connection);
  }

  #turn(): void {
    const due = this.#old;
    this.#old = this.#young;
    this.#young = new Roster();
    for (const connection of due) connection.probe();
    if (this.#old.size > 0) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }
}

/** One for the thread. */
export const keepAlive = new KeepAlive();
