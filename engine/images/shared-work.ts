interface Job<T> {
  readonly result: Promise<T>;
  readonly stop: AbortController;
  waiting: number;
}

/**
 * Does each key's work once, for all who ask while it is under way. Who aborts stops waiting; when nobody waits, the work
 * itself is aborted, and who asks then waits for its end and has it done anew.
 */
export class SharedWork<T> {
  readonly #jobs = new Map<string, Job<T>>();
  readonly #parent: AbortSignal;

  /** Aborting `parent` aborts all work. */
  constructor(parent: AbortSignal) {
    this.#parent = parent;
  }

  /** Starts or joins the work on `key`. Rejects with the signal's reason when it is aborted; it settles only when work that it ended has ended. */
  async do(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    for (;;) {
      const old = this.#jobs.get(key);
      if (old?.stop.signal.aborted !== true) break;
      await old.result.catch(() => {}); // its own callers hear of it
      signal.throwIfAborted();
    }
    const job = this.#jobs.get(key) ?? this.#start(key, work);
    job.waiting += 1;
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const leave = (): void => {
      job.waiting -= 1;
      if (job.waiting > 0) return reject(signal.reason);
      job.stop.abort(signal.reason);
      void job.result.catch(() => {}).then(() => reject(signal.reason));
    };
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await Promise.race([job.result, aborted]);
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await Promise.allSettled([...this.#jobs.values()].map(({ result }) => result));
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<T>): Job<T> {
    const stop = new AbortController();
    const result = work(AbortSignal.any([this.#parent, stop.signal])).finally(() => this.#jobs.delete(key));
    result.catch(() => {}); // every caller may have left
    const job: Job<T> = { result, stop, waiting: 0 };
    this.#jobs.set(key, job);
    return job;
  }
}
