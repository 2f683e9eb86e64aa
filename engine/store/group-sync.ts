import { closeSync, fdatasync, fdatasyncSync } from "node:fs";
import { promisify } from "node:util";

const syncFile = promisify(fdatasync);

/**
 * Brings a file that is written by others to disk, off the event loop. Calls that come while one sync runs share the next: however many
 * write at once, the disk is asked once. The first failure is final: what the kernel dropped, a second sync would call written.
 */
export class GroupSync {
  readonly #fd: number;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #failure: { cause: unknown } | undefined;
  /** Versions: the newest written, on disk, and waited for by somebody. */
  #written = 0;
  #synced = 0;
  #awaited = 0;

  /** Takes the descriptor over. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Notes that a version is in the file. */
  wrote(version: number): void {
    this.#written = version;
  }

  /** Why nothing can be brought to disk any more. */
  get failure(): unknown {
    return this.#failure?.cause;
  }

  /** Resolves when everything written until now is on disk. */
  async sync(): Promise<void> {
    this.#throwFailure();
    if (this.#synced >= this.#written) return;
    this.#awaited = this.#written;
    if (this.#running === undefined) return this.#begin();
    this.#next ??= this.#running.catch(() => {}).then(async () => this.#begin()); // whoever waits for the running one hears of its failure
    return this.#next;
  }

  /** Resolves when every version up to this one that somebody waits for is on disk, or never will be. */
  async settled(version: number): Promise<void> {
    while (this.#failure === undefined && this.#synced < Math.min(version, this.#awaited))
      await (this.#next ?? this.#running)?.catch(() => {}); // told to whoever asked for it
  }

  /** The same at once, on the event loop: for what nobody may see before it is on disk. */
  syncNow(): void {
    this.#throwFailure();
    try {
      fdatasyncSync(this.#fd);
    } catch (cause) {
      this.#failure ??= { cause };
      throw cause;
    }
    this.#synced = this.#written;
  }

  /** Waits for the sync under way, and closes the file. */
  async close(): Promise<void> {
    for (let open = this.#running; open !== undefined; open = this.#next ?? this.#running) await open.catch(() => {}); // as above
    closeSync(this.#fd);
  }

  async #begin(): Promise<void> {
    this.#next = undefined;
    this.#throwFailure();
    const run = this.#run();
    this.#running = run;
    try {
      await run;
    } finally {
      if (this.#running === run) this.#running = undefined;
    }
  }

  async #run(): Promise<void> {
    const version = this.#written;
    try {
      await syncFile(this.#fd);
    } catch (cause) {
      this.#failure ??= { cause };
      throw cause;
    }
    this.#synced = Math.max(this.#synced, version);
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.cause;
  }
}
