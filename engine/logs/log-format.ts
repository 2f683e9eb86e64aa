import { type CriLine, parseCriLine } from "./cri-line.ts";
import type { LogOptions } from "./logs.ts";

const NEWLINE = 0x0a;
const LINE_LIMIT_BYTES = 1024 * 1024; // conmon and containerd write 8 to 16 KiB at most

/**
 * Turns the bytes of a CRI log, cut anywhere, into what `kubectl logs` shows: the container's own bytes, partial lines joined, and
 * only what the options want. Decides line by line and keeps no more than an unfinished one.
 */
export class LogFormat {
  readonly #timestamps: boolean;
  readonly #sinceTimeMs: number;
  readonly #stream: CriLine["stream"] | undefined;
  #leftBytes: number;
  #rest: Buffer = Buffer.alloc(0);
  #isMidLine = false;

  constructor(options: LogOptions) {
    this.#timestamps = options.timestamps;
    this.#sinceTimeMs = options.sinceTimeMs ?? Number.NEGATIVE_INFINITY;
    this.#stream = wantedStream(options);
    this.#leftBytes = options.limitBytes ?? Number.POSITIVE_INFINITY;
  }

  /** True once `limitBytes` are given: nothing more will come. */
  get isFull(): boolean {
    return this.#leftBytes <= 0;
  }

  /** Takes the next bytes of the file and gives what they show. */
  push(chunk: Uint8Array): Buffer {
    let buffer = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    const shown: Uint8Array[] = [];
    for (let end = buffer.indexOf(NEWLINE); end >= 0; end = buffer.indexOf(NEWLINE)) {
      this.#show(buffer.subarray(0, end), shown);
      buffer = buffer.subarray(end + 1);
    }
    this.#rest = buffer.length > LINE_LIMIT_BYTES ? Buffer.alloc(0) : Buffer.from(buffer);
    return Buffer.concat(shown);
  }

  /** What an unfinished last line shows, at the end of a file that nobody writes any more. */
  end(): Buffer {
    const shown: Uint8Array[] = [];
    if (this.#rest.length > 0) this.#show(this.#rest, shown);
    this.#rest = Buffer.alloc(0);
    return Buffer.concat(shown);
  }

  #show(bytes: Uint8Array, shown: Uint8Array[]): void {
    const line = parseCriLine(bytes);
    if (line === undefined || (this.#stream !== undefined && line.stream !== this.#stream)) return;
    if (Date.parse(line.time) < this.#sinceTimeMs) return;
    if (this.#timestamps && !this.#isMidLine) this.#give(Buffer.from(`${line.time.replace(/\+00:00$/, "Z")} `), shown);
    this.#give(line.text, shown);
    if (!line.isPartial) this.#give(Buffer.of(NEWLINE), shown);
    this.#isMidLine = line.isPartial;
  }

  #give(bytes: Uint8Array, shown: Uint8Array[]): void {
    if (this.#leftBytes <= 0 || bytes.length === 0) return;
    shown.push(bytes.length <= this.#leftBytes ? bytes : bytes.subarray(0, this.#leftBytes));
    this.#leftBytes -= bytes.length;
  }
}

/** The stream that the options ask for; undefined for both. */
export function wantedStream({ stream }: LogOptions): CriLine["stream"] | undefined {
  if (stream === "Stdout") return "stdout";
  return stream === "Stderr" ? "stderr" : undefined;
}
