/** Owns everything a component starts. Closing aborts the signal, then releases in reverse order, once. */
export class Scope implements AsyncDisposable {
  readonly #controller = new AbortController();
  readonly #stack = new AsyncDisposableStack();

  /** Aborted the moment closing begins. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Runs `release` when the scope closes; the last deferred is released first. */
  defer(release: () => void | Promise<void>): void {
    this.#stack.defer(release);
  }

  /** Owns a disposable and hands it back. */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    return this.#stack.use(resource);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort();
    await this.#stack.disposeAsync();
  }
}
