import type { PathSegments } from "./field-path.ts";
import { fieldSchema, typeSchema } from "./schema.ts";
import { nearestName } from "./suggest.ts";

const MOST_TYPES_SEARCHED = 40;

/**
 * What to say of an unknown field: the nearest field of its own type, else the place under `root` that has a field of that
 * name, else one that has nearly.
 */
export function unknownField(name: string, typeName: string, path: PathSegments, root: string): string {
  const near = nearestName(name, Object.keys(typeSchema(typeName)?.fields ?? {}));
  if (near !== undefined) return `unknown field, did you mean ${near}?`;
  const here = path
    .map((segment) => (typeof segment === "number" ? "[]" : segment))
    .join(".")
    .replaceAll(".[]", "[]");
  const places = placesUnder(root).filter(({ at }) => at !== here);
  const exact = places.find((place) => fieldSchema(place.typeName, name) !== undefined);
  if (exact !== undefined) return `unknown field, ${name} belongs to ${exact.at === "" ? "the top level" : exact.at}`;
  for (const place of places) {
    const guess = nearestName(name, Object.keys(typeSchema(place.typeName)?.fields ?? {}).filter(isLongEnough));
    if (guess !== undefined && isLongEnough(name))
      return `unknown field, did you mean ${guess} of ${place.at === "" ? "the top level" : place.at}?`;
  }
  return "unknown field";
}

/** Short names are like many others: a guess far away would mislead. */
function isLongEnough(name: string): boolean {
  return name.replaceAll(/[-_]/g, "").length >= 6;
}

/** The types under `root`, the shallowest first, with where they stand, such as `spec.containers[]`; a status is no place to write. */
function placesUnder(root: string): { typeName: string; at: string }[] {
  const seen = new Set<string>();
  const places: { typeName: string; at: string }[] = [];
  const waiting: { typeName: string; at: string }[] = [{ typeName: root, at: "" }];
  for (let next = waiting.shift(); next !== undefined && places.length < MOST_TYPES_SEARCHED; next = waiting.shift()) {
    const { typeName, at } = next;
    if (seen.has(typeName)) continue;
    seen.add(typeName);
    places.push(next);
    for (const [field, schema] of Object.entries(typeSchema(typeName)?.fields ?? {})) {
      const ref = schema.ref ?? schema.list?.ref;
      if (ref === undefined || ["status", "ephemeralContainers", "managedFields"].includes(field)) continue;
      waiting.push({ typeName: ref, at: `${at === "" ? "" : `${at}.`}${field}${schema.list === undefined ? "" : "[]"}` });
    }
  }
  return places;
}
