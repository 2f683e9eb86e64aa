/** As long as the longest quantity: no field of the API takes more digits. */
const LONGEST_DIGITS = 64;
/** The shortest that may be beyond 2^53. */
const DIGITS_OF_LARGE = 16;
const LARGEST = (1n << 63n) - 1n;
const SMALLEST = -(1n << 63n);

/**
 * A whole number that a JavaScript number cannot hold, beyond 2^53 either way. It stands in an object where its type says `number`:
 * written as JSON it is what was read, compared and reckoned with it is the nearest number.
 */
export class LargeInteger {
  /** Its decimal digits, with a sign where it is negative. */
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** Whether a Go int64 holds it. */
  get isInt64(): boolean {
    const value = BigInt(this.text);
    return value >= SMALLEST && value <= LARGEST;
  }

  toString(): string {
    return this.text;
  }

  valueOf(): number {
    return Number(this.text);
  }

  toJSON(): unknown {
    return sourceTextJson.rawJSON(this.text);
  }
}

/** What is written as these digits: a number where one holds it, else a LargeInteger; undefined for other texts, and longer ones. */
export function wholeNumber(text: string): number | LargeInteger | undefined {
  if (text.length > LONGEST_DIGITS || !/^-?(0|[1-9]\d*)$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : new LargeInteger(text);
}

/** `JSON.parse`, but for whole numbers beyond 2^53: those are LargeInteger. `JSON.stringify` writes them as they were. */
export function parseJson(text: string): unknown {
  if (!hasDigits(text, DIGITS_OF_LARGE)) return JSON.parse(text); // several times faster, and there is no such number
  return sourceTextJson.parse(text, (_name, value, { source }) => {
    if (typeof value !== "number" || Number.isSafeInteger(value) || source === undefined) return value;
    return wholeNumber(source) ?? value;
  });
}

/** Whether so many digits stand in a row. Looks at one character in so many: each such row has one of them. */
function hasDigits(text: string, count: number): boolean {
  for (let at = count - 1; at < text.length; at += count) {
    let [start, end] = [at, at];
    if (!isDigit(text, at)) continue;
    while (isDigit(text, start - 1)) start -= 1;
    while (end - start < count - 1 && isDigit(text, end + 1)) end += 1;
    if (end - start >= count - 1) return true;
  }
  return false;
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at); // NaN outside of it
  return code >= 48 && code <= 57;
}

/** What every engine of today has and the compiler's library does not say yet: https://tc39.es/proposal-json-parse-with-source/ */
interface SourceTextJson {
  rawJSON(text: string): unknown;
  parse(text: string, reviver: (name: string, value: unknown, context: { readonly source?: string }) => unknown): unknown;
}

const sourceTextJson = JSON as unknown as SourceTextJson; // it is that, as above
