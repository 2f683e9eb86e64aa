import { listFields } from "@peapod/api";
import { writtenKind, writtenKinds } from "./kinds.ts";

/** The kinds, or the fields one step below the last dot of `begun`; what has fields of its own ends with a dot, as a folder with a slash. */
export function fieldWords(begun: string): string[] {
  const [kind = "", ...steps] = begun.split(".");
  if (steps.length === 0) return writtenKinds.map(({ singular }) => `${singular}.`);
  const resource = writtenKind(kind);
  if (resource === undefined) return [];
  const above = steps.slice(0, -1);
  const lead = above.map((step) => `${step}.`).join("");
  const words = listFields(resource).flatMap(({ path }) => {
    const plain = path.replaceAll("[]", "");
    if (!plain.startsWith(lead)) return [];
    const [name = "", ...deeper] = plain.slice(lead.length).split(".");
    return [`${kind}.${lead}${name}${deeper.length > 0 ? "." : ""}`];
  });
  const open = new Set(words.filter((word) => word.endsWith(".")));
  return [...new Set(words)].filter((word) => !open.has(`${word}.`));
}
