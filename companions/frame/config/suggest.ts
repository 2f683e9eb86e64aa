/** The one of `known` that was probably meant: at most two slips (a letter too many, too few, wrong, or two swapped) away, fewer in short words. */
export function suggest(word: string, known: readonly string[]): string | undefined {
  const plain = normalize(word);
  const near = known
    .map((name) => ({ name, slips: countSlips(plain, normalize(name)) }))
    .filter(({ name, slips }) => slips <= Math.min(2, Math.floor(name.length / 3)));
  return near.toSorted((a, b) => a.slips - b.slips)[0]?.name;
}

/** `verify_full`, `verifyFull` and `verify-full` are the same slip of the hand: none. */
function normalize(word: string): string {
  return word.slice(0, 64).toLowerCase().replace(/[-_]/g, "");
}

/** The optimal string alignment distance, over three rows of its table. */
function countSlips(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const isSame = a[i - 1] === b[j - 1];
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const cost = Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + (isSame ? 0 : 1));
      row[j] = isSwapped ? Math.min(cost, (before[j - 2] ?? 0) + 1) : cost;
    }
    before = above;
    above = row;
  }
  return above[b.length] ?? 0;
}
