const action = /\{\{.*?\}\}|\{%.*?%\}|\{[{%].*/;
const LONGEST_SHOWN = 60;

/**
 * What is wrong with a manifest in which problems stand on lines that a template engine would have replaced: not each of them, but
 * that the template was not rendered. Undefined where no problem stands on such a line.
 */
export function unrenderedTemplate(text: string, problemLines: readonly number[]): { line: number; text: string } | undefined {
  if (problemLines.length === 0 || !action.test(text)) return undefined;
  const lines = text.split(/\r\n?|\n/);
  const line = problemLines.toSorted((left, right) => left - right).find((number) => action.test(lines[number - 1] ?? ""));
  if (line === undefined) return undefined;
  const [found = ""] = action.exec(lines[line - 1] ?? "") ?? [];
  const shown = found.length > LONGEST_SHOWN ? `${found.slice(0, LONGEST_SHOWN)}...` : found;
  return { line, text: `this is a template that has not been rendered (${shown}): render it first, as helm template does for a chart` };
}
