/** A line that begins an expected answer is never longer. */
const LINE_BYTES = 1_024;
/** The marker stands within so many bytes of its line's beginning. */
const MARKER_WITHIN_BYTES = 160;

const nothing = Buffer.alloc(0);
const MINUS = 0x2d;
const PLUS = 0x2b;
const LF = 0x0a;

interface Expected {
  readonly marker: string;
  /** Answers of one line each that follow the marker's line. */
  readonly answers: number;
}

/**
 * Takes answers out of the stream of replies that the client did not ask for. Replies are not parsed, so it does not know how many others
 * come before: it finds its own by an error line that repeats a marker, a random word that nothing before it can contain. What follows that
 * line is known to begin with a reply. While nothing is expected, pieces pass as they are.
 */
export class HiddenReplies {
  readonly #expected: Expected[] = [];
  readonly #onRefused: () => void;
  #held: Buffer = nothing;
  /** Answers still to be taken out, right here in the stream. */
  #answersLeft = 0;

  /** `onRefused` is called for an answer that is not a `+`: the connection is of no use to the client then. */
  constructor(onRefused: () => void) {
    this.#onRefused = onRefused;
  }

  /** Expects the marker's error line and `answers` more. To be said before the commands are sent. */
  expect(marker: string, answers: number): void {
    this.#expected.push({ marker, answers });
  }

  /** What the client is to see of a piece: the very same while nothing is expected, else bytes of their own. */
  scan(chunk: Buffer): Buffer {
    if (this.#expected.length === 0 && this.#answersLeft === 0) return chunk;
    const data = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const shown: Buffer[] = [];
    let at = 0;
    for (;;) {
      if (this.#answersLeft > 0) {
        const end = this.#takeAnswer(data, at);
        if (end === undefined) break;
        at = end;
        continue;
      }
      const [next] = this.#expected;
      if (next === undefined) {
        shown.push(data.subarray(at));
        at = data.length;
        break;
      }
      const { hiddenFrom, hiddenTo } = findMarker(data, at, next.marker);
      shown.push(data.subarray(at, hiddenFrom));
      at = hiddenTo ?? hiddenFrom;
      if (hiddenTo === undefined) {
        if (data.length - at > LINE_BYTES) this.#onRefused(); // no server repeats so much
        break;
      }
      this.#expected.shift();
      this.#answersLeft = next.answers;
    }
    this.#held = at === data.length ? nothing : Buffer.from(data.subarray(at));
    return Buffer.concat(shown);
  }

  /** Where the next answer ends; undefined while it is not all there. */
  #takeAnswer(data: Buffer, at: number): number | undefined {
    if (at >= data.length) return undefined;
    const end = data.indexOf(LF, at);
    if (data[at] !== PLUS || (end === -1 && data.length - at > LINE_BYTES)) this.#onRefused();
    if (end === -1) return undefined;
    this.#answersLeft--;
    return end + 1;
  }
}

/** The marker's line; without `hiddenTo` it is not there yet, and what is from `hiddenFrom` on may become it. */
function findMarker(data: Buffer, from: number, marker: string): { readonly hiddenFrom: number; readonly hiddenTo?: number } {
  const found = data.indexOf(marker, from, "latin1");
  const before = found === -1 ? data.length : found;
  const lineStart = before === from ? from : Math.max(from, data.lastIndexOf(LF, before - 1) + 1);
  if (found === -1) {
    const mayBecome = data[lineStart] === MINUS && data.length - lineStart < MARKER_WITHIN_BYTES;
    return { hiddenFrom: mayBecome ? lineStart : data.length };
  }
  const end = data.indexOf(LF, found);
  return end === -1 ? { hiddenFrom: lineStart } : { hiddenFrom: lineStart, hiddenTo: end + 1 };
}
