import { orAbandoned } from "../abandon.ts";

/** A volume that was set up. */
export interface MadeVolume {
  /** Of what it shows. */
  readonly digest: string;
  /** Where it is. */
  readonly path: string;
}

/** Where the files are that each container of a pod mounts. */
export interface PodFiles {
  readonly hosts: string;
  readonly resolver: string;
  readonly hostname: string;
}

/** What is remembered of a pod's volumes, and of its own files beside them. */
export class PodVolumes {
  #made: ReadonlyMap<string, MadeVolume> | undefined;
  #problems: ReadonlySet<string> = new Set();
  #files: Promise<PodFiles> | undefined;
  #calls: Promise<unknown> = Promise.resolve();

  /** By name; empty at first where an earlier engine set them up, undefined where nobody has. */
  get made(): ReadonlyMap<string, MadeVolume> | undefined {
    return this.#made;
  }

  /** Where each of them is. */
  get paths(): ReadonlyMap<string, string> | undefined {
    return this.#made && new Map([...this.#made].map(([name, { path }]) => [name, path]));
  }

  /** An earlier engine set some up. */
  adopted(): void {
    this.#made = new Map();
  }

  setUp(made: ReadonlyMap<string, MadeVolume>): void {
    this.#made = made;
  }

  /** Nothing is left of them. */
  removed(): void {
    this.#made = undefined;
    this.#files = undefined;
  }

  /** The sandbox goes that the pod's own files were written for. */
  sandboxEnded(): void {
    this.#files = undefined;
  }

  /** These keep volumes as they are; gives those that were not told yet. */
  problemsFound(problems: Iterable<string>): readonly string[] {
    const before = this.#problems;
    this.#problems = new Set(problems);
    return [...this.#problems].filter((problem) => !before.has(problem));
  }

  /** The paths of /etc/hosts and its like: written by the first who asks, and anew after a failure. */
  async files(write: () => Promise<PodFiles>): Promise<PodFiles> {
    const files = (this.#files ??= write());
    try {
      return await files;
    } catch (cause) {
      if (this.#files === files) this.#files = undefined;
      throw cause;
    }
  }

  /** Makes a call for the pod's volumes when those before it are over, or cancelled and abandoned: one after the other. */
  async inOrder<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const result = this.#calls.then(async () => {
      signal.throwIfAborted();
      return call();
    });
    this.#calls = orAbandoned(result, signal).catch(() => {}); // whoever called hears of it
    return result;
  }
}
