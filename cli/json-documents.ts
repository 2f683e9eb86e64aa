/** The text, cut between JSON objects that stand one after the other, as tools print them: each is a document. YAML is left whole. */
export function cutJsonDocuments(text: string): string[] {
  const cuts = documentStarts(text).flatMap((start) => cutsAfter(text, start));
  return [0, ...cuts].map((from, index) => text.slice(from, cuts[index]));
}

function documentStarts(text: string): number[] {
  return [0, ...[...text.matchAll(/^---\s/gm)].map(({ index }) => index + 3)];
}

/** Where the second and further ones of a row of objects begin. */
function cutsAfter(text: string, start: number): number[] {
  const cuts: number[] = [];
  for (let at = skipSpace(text, start); text[at] === "{";) {
    const end = endOfObject(text, at);
    const next = skipSpace(text, end);
    if (text[next] !== "{" || !isJson(text.slice(at, end))) break; // in YAML a brace may stand in single quotes
    cuts.push(next);
    at = next;
  }
  return cuts;
}

function skipSpace(text: string, from: number): number {
  const space = /[\s\uFEFF]*/y;
  space.lastIndex = from;
  space.test(text);
  return space.lastIndex;
}

function endOfObject(text: string, from: number): number {
  const token = /"(?:[^"\\]|\\[^])*"|[{}]/g;
  token.lastIndex = from;
  let depth = 0;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    depth += match[0] === "{" ? 1 : match[0] === "}" ? -1 : 0;
    if (depth === 0) return token.lastIndex;
  }
  return text.length;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false; // what it is instead, the reader of YAML says
  }
}
