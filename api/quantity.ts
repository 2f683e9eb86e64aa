/** A quantity, exact, in billionths. */
export interface Quantity {
  readonly nanos: bigint;
  /** The family of suffixes it was written with. */
  readonly format: "DecimalSI" | "BinarySI" | "DecimalExponent";
}
/** Reads `500m`, `1Gi`, `1e3`; undefined for what is no quantity. */
export function parseQuantity(_text: string): Quantity | undefined {
  throw new Error("Not written yet");
}
/** The canonical form: `1000m` is `1`, `0.5` is `500m`, `1024Mi` is `1Gi`. */
export function formatQuantity(_quantity: Quantity): string {
  throw new Error("Not written yet");
}
/** The canonical form of a written quantity; undefined for what is no quantity. */
export function canonicalQuantity(_text: string): string | undefined {
  throw new Error("Not written yet");
}
/** Negative, 0 or positive, for sorting. */
export function compareQuantities(_left: Quantity, _right: Quantity): number {
  throw new Error("Not written yet");
}
/** The sum, in the first one's format. */
export function addQuantities(_left: Quantity, _right: Quantity): Quantity {
  throw new Error("Not written yet");
}
/** Whole units, rounded up (bytes of a memory quantity), no more than Number.MAX_SAFE_INTEGER. Throws Error for what is no quantity. */
export function quantityToNumber(_text: string): number {
  throw new Error("Not written yet");
}
/** Thousandths, rounded up (milli-CPUs of a cpu quantity). Throws Error for what is no quantity. */
export function quantityToMilli(_text: string): number {
  throw new Error("Not written yet");
}
