import table from "../schema-table.json" with { type: "json" };
import { typeNames, typeSchema } from "../fields/schema.ts";

/** The kinds of objects that Kubernetes has, served here or not; those of clusters' own extensions are not among them. */
export function kindsOfKubernetes(): string[] {
  const kinds = typeNames().flatMap((name) => {
    const type = typeSchema(name);
    const isObject = type?.fields?.["metadata"]?.ref?.endsWith(".ObjectMeta") === true;
    return isObject && type?.kind !== undefined ? [type.kind.kind] : [];
  });
  return [...new Set(kinds)];
}

/** The kind that people write as `deployment`, `deployments` or `deploy`; undefined where Kubernetes has none of that name. */
export function kindNamed(word: string): string | undefined {
  const plain = word.toLowerCase();
  const named = table.resources.find(
    ({ singular, plural, shortNames }) => singular === plain || plural === plain || shortNames.some((short) => short === plain),
  );
  return named?.kind ?? kindsOfKubernetes().find((kind) => kind.toLowerCase() === plain);
}
