/** A quantity, exact, in billionths. */
export interface Quantity {
  readonly nanos: bigint;
  /** The family of suffixes it was written with. */
  readonly format: "DecimalSI" | "BinarySI" | "DecimalExponent";
}

/** What upstream says of a text that is no quantity. */
export const quantityRule = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const NANO = 1_000_000_000n;
const LONGEST_TEXT = 64;
const LARGEST_EXPONENT = 60; // beyond that nothing on earth is counted, and the digits cost memory
const LARGEST_BINARY = ((1n << 63n) - 1n) * NANO; // upstream's cap for binary suffixes

const decimalExponents: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, "": 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const decimalSuffixes = new Map(Object.entries(decimalExponents).map(([suffix, exponent]) => [exponent, suffix]));
const binarySuffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/** Reads `500m`, `1Gi`, `1e3`; undefined for what is no quantity. */
export function parseQuantity(text: string): Quantity | undefined {
  if (text.length > LONGEST_TEXT) return undefined;
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d+)?$/.exec(text);
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = "", suffix = ""] = match;
  if (whole + fraction === "") return undefined;
  const { format, numerator, exponent } = readSuffix(suffix);
  if (Math.abs(exponent) > LARGEST_EXPONENT) return undefined;
  const amount = roundUp(BigInt(whole + fraction) * numerator * NANO, exponent - fraction.length);
  const capped = format === "BinarySI" && amount > LARGEST_BINARY ? LARGEST_BINARY : amount;
  return { nanos: sign === "-" ? -capped : capped, format };
}

/** The canonical form: `1000m` is `1`, `0.5` is `500m`, `1024Mi` is `1Gi`. */
export function formatQuantity({ nanos, format }: Quantity): string {
  if (nanos === 0n) return "0";
  const size = nanos < 0n ? -nanos : nanos;
  const sign = nanos < 0n ? "-" : "";
  if (format === "BinarySI" && size >= 1024n * NANO && size % NANO === 0n) return sign + formatBinary(size / NANO);
  return sign + formatDecimal(size, format);
}

/** The canonical form of a written quantity; undefined for what is no quantity. */
export function canonicalQuantity(text: string): string | undefined {
  const quantity = parseQuantity(text);
  return quantity === undefined ? undefined : formatQuantity(quantity);
}

/** Negative, 0 or positive, for sorting. */
export function compareQuantities(left: Quantity, right: Quantity): number {
  return left.nanos < right.nanos ? -1 : left.nanos > right.nanos ? 1 : 0;
}

/** The sum, in the first one's format. */
export function addQuantities(left: Quantity, right: Quantity): Quantity {
  return { nanos: left.nanos + right.nanos, format: left.format };
}

/** Tells whether it is without a fraction. */
export function isWhole({ nanos }: Quantity): boolean {
  return nanos % NANO === 0n;
}

/** Rounded up to thousandths, as resource lists are stored. */
export function roundUpToMilli(quantity: Quantity): Quantity {
  const milli = NANO / 1000n;
  return { ...quantity, nanos: divideAwayFromZero(quantity.nanos, milli) * milli };
}

/** Whole units, rounded up (bytes of a memory quantity), no more than Number.MAX_SAFE_INTEGER. Throws Error for what is no quantity. */
export function quantityToNumber(text: string): number {
  return clamp(divideAwayFromZero(mustParse(text).nanos, NANO));
}

/** Thousandths, rounded up (milli-CPUs of a cpu quantity), no more than Number.MAX_SAFE_INTEGER. Throws Error for what is no quantity. */
export function quantityToMilli(text: string): number {
  return clamp(divideAwayFromZero(mustParse(text).nanos, NANO / 1000n));
}

function readSuffix(suffix: string): { format: Quantity["format"]; numerator: bigint; exponent: number } {
  const power = binarySuffixes.indexOf(suffix);
  if (power > 0) return { format: "BinarySI", numerator: 1024n ** BigInt(power), exponent: 0 };
  const exponent = Object.hasOwn(decimalExponents, suffix) ? decimalExponents[suffix] : undefined;
  if (exponent !== undefined) return { format: "DecimalSI", numerator: 1n, exponent };
  return { format: "DecimalExponent", numerator: 1n, exponent: Number(suffix.slice(1)) };
}

function formatBinary(units: bigint): string {
  let [mantissa, power] = [units, 0];
  while (mantissa % 1024n === 0n && power < binarySuffixes.length - 1) {
    mantissa /= 1024n;
    power += 1;
  }
  return `${mantissa}${binarySuffixes[power] ?? ""}`;
}

function formatDecimal(nanos: bigint, format: Quantity["format"]): string {
  let [mantissa, exponent] = [nanos, -9];
  while (mantissa % 1000n === 0n) {
    mantissa /= 1000n;
    exponent += 3;
  }
  const suffix = format === "DecimalExponent" ? undefined : decimalSuffixes.get(exponent);
  return `${mantissa}${suffix ?? (exponent === 0 ? "" : `e${exponent}`)}`;
}

/** `digits` times ten to the `exponent`; what is finer than one unit counts as one. */
function roundUp(digits: bigint, exponent: number): bigint {
  return exponent >= 0 ? digits * 10n ** BigInt(exponent) : divideAwayFromZero(digits, 10n ** BigInt(-exponent));
}

function divideAwayFromZero(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  if (value % divisor === 0n) return quotient;
  return value < 0n ? quotient - 1n : quotient + 1n;
}

function clamp(value: bigint): number {
  const limit = BigInt(Number.MAX_SAFE_INTEGER);
  return Number(value > limit ? limit : value < -limit ? -limit : value);
}

function mustParse(text: string): Quantity {
  const quantity = parseQuantity(text);
  if (quantity === undefined) throw new Error(`Cannot read "${text}" as a quantity`);
  return quantity;
}
