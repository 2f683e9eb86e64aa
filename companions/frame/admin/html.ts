/** Text that is HTML already. */
export interface Html {
  readonly html: string;
}

type Part = Html | string | number | undefined | readonly Part[];

/** A template of HTML: what is put in is escaped, unless it is HTML itself; lists are joined, and undefined is nothing. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return { html: strings.map((text, index) => `${text}${render(parts[index])}`).join("") };
}

function render(part: Part): string {
  if (part === undefined) return "";
  if (typeof part === "number") return String(part);
  if (typeof part === "string") return part.replaceAll(/[&<>"']/g, (character) => `&#${character.codePointAt(0) ?? 0};`);
  return "html" in part ? part.html : part.map(render).join("");
}
