/** The steps from an object to a value inside: field names and list indexes. */
export type PathSegments = readonly (string | number)[];

/** A path as people write it: `spec.containers[1].image`, `metadata.annotations[example.com/a]`. */
export function formatPath(segments: PathSegments): string {
  let text = "";
  for (const segment of segments) {
    if (typeof segment === "string" && /^[A-Za-z_$][\w$-]*$/.test(segment)) text += text === "" ? segment : `.${segment}`;
    else text += `[${segment}]`;
  }
  return text;
}
