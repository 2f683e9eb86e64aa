/**
 * The candidate that a mistyped name was most likely meant to be, or undefined where none is near: one that differs by case or dashes only,
 * the only one that the name begins, or one that is a slip or two away (a letter too many, too few, wrong, or two swapped).
 */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  const plain = fold(name);
  const same = candidates.find((candidate) => fold(candidate) === plain);
  if (same !== undefined || plain.length > LONGEST_NAME) return same;
  const begun = plain.length < 2 ? [] : candidates.filter((candidate) => fold(candidate).startsWith(plain));
  if (begun.length === 1) return begun[0];
  let best: { candidate: string; slips: number } | undefined;
  for (const candidate of candidates) {
    const slips = countSlips(plain, fold(candidate));
    if (slips < (best?.slips ?? Infinity)) best = { candidate, slips };
  }
  return best?.candidate;
}

const LONGEST_NAME = 100;
const MOST_SLIPS = 2;
/** Below this length one other letter at the start makes another word of it: `top` is no `stop`. */
const SURE_LENGTH = 5;

function fold(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, "");
}

/** How many slips lead from one word to the other, or Infinity where they are more than its length makes likely. */
function countSlips(from: string, to: string): number {
  const limit = Math.min(MOST_SLIPS, Math.floor(from.length / 3));
  if (Math.abs(from.length - to.length) > limit) return Infinity;
  const beginsAlike = from[0] === to[0] || (from[0] === to[1] && from[1] === to[0]);
  if (!beginsAlike && Math.max(from.length, to.length) < SURE_LENGTH) return Infinity;
  const slips = editDistance(from, to);
  return slips <= limit ? slips : Infinity;
}

/** How many letters to add, take away, change or swap with their neighbour to get from one word to the other. */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const changed = from[row - 1] === to[column - 1] ? 0 : 1;
      let cost = Math.min((last[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, (last[column - 1] ?? 0) + changed);
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (swapped) cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1);
      current.push(cost);
    }
    [beforeLast, last] = [last, current];
  }
  return last[to.length] ?? 0;
}
