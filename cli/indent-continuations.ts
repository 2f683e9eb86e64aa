/** What is open where a line begins, and how far its continuation is to stand in. */
interface Open {
  readonly depth: number;
  readonly quote: string | undefined;
  readonly indent: number;
}

const closed: Open = { depth: 0, quote: undefined, indent: 0 };
const MARKER = /^(?:---|\.\.\.)(?=\s|$)/;
const BLOCK_SCALAR = /^(\s*(?:-\s+)*)(.*?)(?:^|\s)[|>][-+\d]*\s*(?:#.*)?$/;
const LONGEST_HEADER = 1_000;
const QUOTED: Readonly<Record<string, RegExp>> = { '"': /(?:[^"\\]|\\.|\\$)*"/y, "'": /(?:[^']|'')*'/y };
const PLAIN_IN_FLOW = /(?:[^,[\]{}:#]|:(?=[^\s,[\]{}"'])|(?<=\S)#)+/y;
const PLAIN_IN_BLOCK = /(?:[^:#]|:(?=\S)|(?<=\S)#)+/y;

/**
 * The text with every line that goes on with a quoted string, a list in brackets or a map in braces indented below what it began in. YAML wants
 * that, and go-yaml does not: many write the closing bracket below the field's name. What the text says stays, and so do its lines.
 */
export function indentContinuations(text: string): string {
  const lines: string[] = [];
  let open = closed;
  let scalarBelow: number | undefined;
  for (const line of text.split("\n")) {
    if (MARKER.test(line)) [open, scalarBelow] = [closed, undefined];
    const indent = line.search(/\S/);
    if (scalarBelow !== undefined && (indent < 0 || indent > scalarBelow)) {
      lines.push(line);
      continue;
    }
    scalarBelow = undefined;
    lines.push(open === closed || indent < 0 ? line : `${" ".repeat(open.indent)}${line.trimStart()}`);
    const wasClosed = open === closed;
    open = scanLine(line, open);
    if (wasClosed && open === closed) scalarBelow = parentOfBlockScalar(line);
  }
  return lines.join("\n");
}

/** The column of the field or item whose block scalar begins at the end of the line: deeper lines are of the scalar. */
function parentOfBlockScalar(line: string): number | undefined {
  const match = line.length > LONGEST_HEADER ? null : BLOCK_SCALAR.exec(line);
  if (match === null) return undefined;
  const [, lead = "", name = ""] = match;
  return name.trim() === "" ? Math.max(lead.lastIndexOf("-"), 0) : lead.length;
}

/** What is open after a line. */
function scanLine(line: string, before: Open): Open {
  let { depth, quote, indent } = before;
  let at = depth === 0 && quote === undefined ? (MARKER.exec(line)?.[0].length ?? 0) : 0;
  while (at < line.length) {
    if (quote !== undefined) {
      const end = endOf(QUOTED[quote], line, at);
      if (end === at) break;
      [at, quote] = [end, undefined];
      continue;
    }
    const character = line[at] ?? "";
    if (character === "#" && (at === 0 || /\s/.test(line[at - 1] ?? ""))) break;
    if (depth === 0) indent = at + 1;
    if (character === '"' || character === "'") quote = character;
    else if (character === "[" || character === "{") depth += 1;
    else if (depth > 0 && (character === "]" || character === "}")) depth -= 1;
    else if (!/[\s,]/.test(character) && !/^[-?:](?=\s|$)/.test(line.slice(at, at + 2))) {
      at = Math.max(at + 1, endOf(/[&!*]/.test(character) ? /\S+/y : depth > 0 ? PLAIN_IN_FLOW : PLAIN_IN_BLOCK, line, at));
      continue;
    }
    at += 1;
  }
  return depth === 0 && quote === undefined ? closed : { depth, quote, indent };
}

function endOf(pattern: RegExp | undefined, line: string, at: number): number {
  if (pattern === undefined) return at;
  pattern.lastIndex = at;
  return pattern.test(line) ? pattern.lastIndex : at;
}
