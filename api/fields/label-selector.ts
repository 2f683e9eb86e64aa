/** One condition of a label selector. */
export type LabelRequirement =
  | { readonly kind: "in" | "not-in"; readonly key: string; readonly values: readonly string[] }
  | { readonly kind: "exists" | "not-exists"; readonly key: string }
  | { readonly kind: "greater" | "less"; readonly key: string; readonly than: bigint };

/** All must hold; an empty one matches everything. */
export type LabelSelectorTerms = readonly LabelRequirement[];

/** A selector that cannot be read, in upstream's words: answer 400. */
export class SelectorError extends Error {
  override readonly name = "SelectorError";
}

const LONGEST_SELECTOR = 100_000;
const key = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const value = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;
const wholeNumber = /^-?\d+$/;
const LONGEST_NAME = 63;
const LONGEST_PREFIX = 253;

/** Reads `app=web,tier in (a, b),!old`. Throws SelectorError. */
export function parseLabelSelector(text: string): LabelSelectorTerms {
  if (text.length > LONGEST_SELECTOR)
    throw new SelectorError(`unable to parse requirement: the selector is longer than ${LONGEST_SELECTOR} characters`);
  return splitTerms(text).map(parseTerm);
}

/** Tells whether labels fulfil a selector. */
export function matchesLabels(selector: LabelSelectorTerms, labels: Readonly<Record<string, string>> = {}): boolean {
  return selector.every((term) => {
    const label = Object.hasOwn(labels, term.key) ? labels[term.key] : undefined;
    switch (term.kind) {
      case "exists":
        return label !== undefined;
      case "not-exists":
        return label === undefined;
      case "in":
        return label !== undefined && term.values.includes(label);
      case "not-in":
        return label === undefined || !term.values.includes(label);
      case "greater":
        return label !== undefined && wholeNumber.test(label) && BigInt(label) > term.than;
      case "less":
        return label !== undefined && wholeNumber.test(label) && BigInt(label) < term.than;
    }
  });
}

/** Cuts at the commas that are not inside parentheses. */
function splitTerms(text: string): string[] {
  if (text.trim() === "") return [];
  const terms: string[] = [];
  let [depth, start] = [0, 0];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === "(") depth += 1;
    else if (character === ")") depth -= 1;
    else if (character === "," && depth === 0) {
      terms.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...terms, text.slice(start)];
}

function parseTerm(text: string): LabelRequirement {
  const term = text.trim();
  const absent = /^!\s*(\S+)$/.exec(term);
  if (absent !== null) return { kind: "not-exists", key: checkKey(absent[1] ?? "", text) };
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(term);
  if (set !== null) {
    const values = (set[3] ?? "").split(",").map((each) => checkValue(each.trim(), text));
    return { kind: set[2] === "in" ? "in" : "not-in", key: checkKey(set[1] ?? "", text), values };
  }
  const equality = /^([^=!\s]+)\s*(==|=|!=)\s*(\S*)$/.exec(term);
  if (equality !== null) {
    return {
      kind: equality[2] === "!=" ? "not-in" : "in",
      key: checkKey(equality[1] ?? "", text),
      values: [checkValue(equality[3] ?? "", text)],
    };
  }
  const order = /^([^<>\s]+)\s*([<>])\s*(\S+)$/.exec(term);
  if (order !== null) {
    return { kind: order[2] === ">" ? "greater" : "less", key: checkKey(order[1] ?? "", text), than: checkNumber(order[3] ?? "", text) };
  }
  return { kind: "exists", key: checkKey(term, text) };
}

function checkKey(name: string, term: string): string {
  const [prefix, rest] = name.includes("/") ? [name.slice(0, name.indexOf("/")), name.slice(name.indexOf("/") + 1)] : ["", name];
  if (key.test(name) && rest.length <= LONGEST_NAME && prefix.length <= LONGEST_PREFIX) return name;
  throw new SelectorError(
    `unable to parse requirement: ${JSON.stringify(term)}: <nil>: Invalid value: ${JSON.stringify(name)}: not a label key`,
  );
}

function checkNumber(text: string, term: string): bigint {
  if (wholeNumber.test(text)) return BigInt(text);
  const why = "for 'Gt', 'Lt' operators, the value must be an integer";
  throw new SelectorError(`unable to parse requirement: ${JSON.stringify(term)}: <nil>: Invalid value: ${JSON.stringify(text)}: ${why}`);
}

function checkValue(text: string, term: string): string {
  if (value.test(text) && text.length <= LONGEST_NAME) return text;
  throw new SelectorError(
    `unable to parse requirement: ${JSON.stringify(term)}: <nil>: Invalid value: ${JSON.stringify(text)}: not a label value`,
  );
}
