import { TarError } from "../tar/tar-error.ts";

/** How much one layer may bring, and cost: far beyond any real one. */
export interface LayerLimits {
  /** What it makes, the folders that it only implies with it. */
  readonly entries: number;
  /** What its archive has, decompressed: with headers, and what nobody reads. */
  readonly archiveBytes: number;
  /** What it takes on the disk. */
  readonly bytes: number;
  /** How many folders deep. */
  readonly depth: number;
  /** How often it has the file system looked into, links followed, and what is in the way removed. */
  readonly steps: number;
}

export const defaultLimits: LayerLimits = {
  entries: 2_000_000,
  archiveBytes: 192 * 1024 ** 3,
  bytes: 128 * 1024 ** 3,
  depth: 500,
  steps: 10_000_000,
};

/** Counts against the limits. Throws a TarError at the first that is passed. */
export class LayerBudget {
  readonly limits: LayerLimits;
  #entries = 0;
  #bytes = 0;
  #steps = 0;

  constructor(limits: LayerLimits) {
    this.limits = limits;
  }

  /** The bytes so far. */
  get bytes(): number {
    return this.#bytes;
  }

  entry(): void {
    this.#entries += 1;
    if (this.#entries > this.limits.entries) throw new TarError(`The layer has more than ${this.limits.entries} entries`);
  }

  take(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.limits.bytes) throw new TarError(`The layer has more than ${this.limits.bytes} bytes`);
  }

  step(): void {
    this.#steps += 1;
    if (this.#steps > this.limits.steps) throw new TarError(`The layer takes more than ${this.limits.steps} steps to unpack`);
  }

  depth(folders: number): void {
    if (folders > this.limits.depth) throw new TarError(`It lies more than ${this.limits.depth} folders deep`);
  }
}
