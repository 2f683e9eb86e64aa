/** The middle value; of an even number, the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** `0.071 s (0.065 to 0.090)`: the median, and from the least to the most. */
export function seconds(valuesMs: readonly number[]): string {
  const text = (ms: number): string => (ms / 1000).toFixed(3);
  return `${text(median(valuesMs))} s (${text(Math.min(...valuesMs))} to ${text(Math.max(...valuesMs))})`;
}

/** The value that such a part of the values is not above: 0.99 for the 99th percentile. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}
