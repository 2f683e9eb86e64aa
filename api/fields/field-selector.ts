import type { KubeObject, Resource } from "../kinds/resource.ts";
import { resourceOf } from "../kinds/resources.ts";
import { readFieldPath } from "./read-field-path.ts";
import { SelectorError } from "./label-selector.ts";

/** One condition of a field selector. */
export interface FieldRequirement {
  readonly field: string;
  readonly equal: boolean;
  readonly value: string;
}

const everyKind = ["metadata.name", "metadata.namespace"];
/** Reads `metadata.name=web,status.phase!=Running` for a resource. Throws SelectorError, also for a field that the resource cannot be selected by. */
export function parseFieldSelector(text: string, resource: Resource): FieldRequirement[] {
  return splitUnescaped(text).map((term) => {
    const match = /^([^=!]+?)\s*(==|=|!=)(.*)$/s.exec(term);
    const [, field = "", operator = "", value = ""] = match ?? [];
    if (match === null) throw new SelectorError(`invalid selector: '${text}'; can't understand '${term}'`);
    if (!everyKind.includes(field) && !resource.selectableFields.includes(field))
      throw new SelectorError(`field label not supported: ${field}`);
    return { field, equal: operator !== "!=", value: value.replaceAll(/\\([\\,=])/g, "$1") };
  });
}

/** Tells whether an object fulfils a field selector. */
export function matchesFields(selector: readonly FieldRequirement[], object: KubeObject): boolean {
  if (selector.length === 0) return true;
  const resource = resourceOf(object);
  return selector.every(
    ({ field, equal, value }) => ((resource?.readField(object, field) ?? readFieldPath(object, field)) === value) === equal,
  );
}

/** Cuts at commas; a backslash takes the next character's meaning away. Empty terms are nothing. */
function splitUnescaped(text: string): string[] {
  const terms: string[] = [];
  let term = "";
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "\\") term += text.slice(at, (at += 1) + 1);
    else if (text[at] === ",") [term] = (terms.push(term), [""]);
    else term += text[at];
  }
  return [...terms, term].filter((each) => each !== "");
}
