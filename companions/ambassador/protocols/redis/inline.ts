/**
 * The words of an inline command, as a server splits them (`sdssplitargs`): blanks between, "…" with \n, \r, \t, \b, \a and \xHH inside, '…'
 * with \' inside. Undefined for quotes that do not close, or have no blank after them: the server refuses the line.
 */
export function splitInline(line: string): string[] | undefined {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (isBlank(line[at])) at++;
    if (at >= line.length) return words;
    let word = "";
    while (at < line.length && !isBlank(line[at])) {
      const quote = line[at];
      if (quote !== '"' && quote !== "'") {
        word += line[at++];
        continue;
      }
      const quoted = (quote === '"' ? doubleQuoted : singleQuoted).exec(line.slice(at));
      if (quoted === null) return undefined;
      word += quote === '"' ? unescapeDouble(quoted[1] ?? "") : (quoted[1] ?? "").replaceAll("\\'", "'");
      at += quoted[0].length;
      if (at < line.length && !isBlank(line[at])) return undefined;
      break;
    }
    words.push(word);
  }
}

const doubleQuoted = /^"((?:\\[^]|[^"\\])*)"/;
const singleQuoted = /^'((?:\\'|[^'])*)'/;
const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", a: "\u0007" };

function unescapeDouble(text: string): string {
  return text.replaceAll(/\\(?:x([0-9a-fA-F]{2})|([^]))/g, (_all, hex: string | undefined, letter: string) =>
    hex === undefined ? (escapes[letter] ?? letter) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function isBlank(letter: string | undefined): boolean {
  return letter !== undefined && " \t\n\v\f\r".includes(letter);
}
