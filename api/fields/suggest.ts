/** The candidate nearest to a mistyped name, or undefined where none is near. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  const plain = name.toLowerCase().replaceAll(/[-_ ]/g, "");
  const same = candidates.find((candidate) => candidate.toLowerCase() === plain);
  if (same !== undefined || name.length > LONGEST_NAME) return same;
  const limit = Math.max(1, Math.floor(Math.max(plain.length, 3) / 3));
  let best: { candidate: string; distance: number } | undefined;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - plain.length) > limit) continue;
    const distance = editDistance(plain, candidate.toLowerCase());
    if (distance <= limit && distance < (best?.distance ?? Infinity)) best = { candidate, distance };
  }
  return best?.candidate;
}

const LONGEST_NAME = 100;

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
