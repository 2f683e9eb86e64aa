/** One condition of a label selector. */
export type LabelRequirement =
  | { readonly kind: "in" | "not-in"; readonly key: string; readonly values: readonly string[] }
  | { readonly kind: "exists" | "not-exists"; readonly key: string };
/** All must hold; an empty one matches everything. */
export type LabelSelectorTerms = readonly LabelRequirement[];
/** Reads `app=web,tier in (a, b),!old`. Throws SelectorError. */
export function parseLabelSelector(_text: string): LabelSelectorTerms {
  throw new Error("Not written yet");
}
/** Tells whether labels fulfil a selector. */
export function matchesLabels(_selector: LabelSelectorTerms, _labels: Readonly<Record<string, string>> | undefined): boolean {
  throw new Error("Not written yet");
}
/** A selector that cannot be read, in upstream's words: answer 400. */
export class SelectorError extends Error {
  override readonly name = "SelectorError";
}
