import { closeSync, fstatSync, openSync } from "node:fs";
import { CLONE, setns } from "../../linux/libc.ts";

/** An open network namespace. */
export class NetworkNamespace implements Disposable {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  static open(path: string): NetworkNamespace {
    return new NetworkNamespace(openSync(path, "r"));
  }

  /** The one this thread is in. */
  static own(): NetworkNamespace {
    return NetworkNamespace.open("/proc/thread-self/ns/net");
  }

  /** Tells one from another for as long as either lives. */
  get identity(): string {
    const { dev, ino } = fstatSync(this.#fd);
    return `${dev}:${ino}`;
  }

  /** For the kernel: the descriptor of its file. */
  get fd(): number {
    return this.#fd;
  }

  /**
   * Runs `work` inside, and comes back to `home`. It must be synchronous: everything else of this program runs on this thread. A socket
   * made in it stays of this namespace. A thread that cannot come back ends the process.
   */
  run<T>(home: NetworkNamespace, work: () => T): T {
    setns(this.#fd, CLONE.NEWNET);
    try {
      return work();
    } finally {
      comeBack(home.#fd);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

function comeBack(fd: number): void {
  try {
    setns(fd, CLONE.NEWNET);
  } catch (cause) {
    process.stderr.write(`Cannot come back from a pod's network namespace, the process would go on inside it: ${String(cause)}\n`);
    process.abort();
  }
}
