import { closeSync, openSync, writeSync } from "node:fs";
import { isErrno } from "@peapod/kit";
import { makePipe, reap, spawnDetached } from "../../../linux/spawn.ts";
import { defaultPath } from "../spec/container-defaults.ts";

/**
 * Opens each fifo it is told for reading and writing, which waits for nobody, and has up to seven open (a shell knows one-digit descriptors): the first
 * of the next seven finds those handed to a process that does nothing but have them. Each is open for longer than an init needs to write a byte on
 * any machine, also once whoever tells of them is gone. `( & )`: what holds them is nobody's to wait for.
 */
const SCRIPT = `n=3
while IFS= read -r gate; do
  [ $n -lt 10 ] || { (sleep 10 &); n=3; }
  eval "command exec $n<>\\"\\$gate\\""
  n=$((n + 1))
done
exec sleep 10`;

/**
 * A process that opens the gates of containers for an engine, and outlives it for a moment: one line to it, and the container goes, whatever becomes
 * of the engine meanwhile. It is started when it is first needed, and again where somebody ended it.
 */
export class Gatekeeper implements AsyncDisposable {
  readonly #shellPath: string;
  #running: { readonly pid: number; readonly orders: number } | undefined;

  constructor(shellPath: string) {
    this.#shellPath = shellPath;
  }

  /** Has a fifo opened. */
  open(path: string): void {
    this.#running ??= this.#start();
    try {
      writeSync(this.#running.orders, `${path}\n`); // one write of less than a pipe's buffer: all of it or nothing
    } catch (cause) {
      if (!isErrno(cause, "EPIPE")) throw cause;
      void this[Symbol.asyncDispose](); // never rejects: it is over already
      this.#running = this.#start();
      writeSync(this.#running.orders, `${path}\n`);
    }
  }

  #start(): { pid: number; orders: number } {
    const orders = makePipe();
    const nothing = [openSync("/dev/null", "r+"), openSync("/dev/null", "r+")];
    try {
      const fds = [orders.read, ...nothing];
      const pid = spawnDetached({ path: this.#shellPath, args: ["-c", SCRIPT], env: { PATH: defaultPath }, cwd: "/", fds });
      return { pid, orders: orders.write };
    } catch (cause) {
      closeSync(orders.write);
      throw cause;
    } finally {
      for (const fd of [orders.read, ...nothing]) closeSync(fd);
    }
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#running === undefined) return;
    const { pid, orders } = this.#running;
    this.#running = undefined;
    closeSync(orders);
    process.kill(pid, "SIGKILL"); // not reaped yet, so it is nobody else
    await reap(pid);
  }
}
