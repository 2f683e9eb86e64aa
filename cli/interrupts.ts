/** Ctrl-C, SIGTERM and SIGHUP, and a reader of our output that left: the first asks a command to end, the second insists. */
export class Interrupts {
  readonly #first = new AbortController();
  readonly #second = new AbortController();
  #exitCode = 130;

  /** Aborted by the first. */
  get first(): AbortSignal {
    return this.#first.signal;
  }

  /** Aborted by the second. */
  get second(): AbortSignal {
    return this.#second.signal;
  }

  /** 128 and the signal's number. */
  get exitCode(): number {
    return this.#exitCode;
  }

  /** Starts to listen, for as long as the process lives. */
  listen(): void {
    process.on("SIGINT", () => this.raise(130));
    process.on("SIGTERM", () => this.raise(143));
    process.on("SIGHUP", () => this.raise(129));
    process.stdout.on("error", (cause: NodeJS.ErrnoException) => {
      if (cause.code !== "EPIPE") throw cause;
      this.raise(141);
    });
  }

  /** As if a signal had come. */
  raise(exitCode: number): void {
    if (this.#first.signal.aborted) {
      this.#second.abort(new InterruptedError());
    } else {
      this.#exitCode = exitCode;
      this.#first.abort(new InterruptedError());
    }
  }
}

/** What a signal aborted by the user carries. */
export class InterruptedError extends Error {
  override readonly name = "AbortError";
  constructor() {
    super("Interrupted");
  }
}
