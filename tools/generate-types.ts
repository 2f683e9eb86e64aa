/**
 * Writes api/generated.ts: TypeScript interfaces of the kinds the engine serves and of everything they reach, from the
 * schema table. usage: node tools/generate-types.ts [--check]
 */
import { readFileSync, writeFileSync } from "node:fs";
import { resources } from "@peapod/api";

interface FieldSchema {
  scalar?: string;
  format?: string;
  ref?: string;
  list?: FieldSchema;
  map?: FieldSchema;
  enum?: (string | number)[];
  required?: boolean;
}
interface TypeSchema extends FieldSchema {
  fields?: Record<string, FieldSchema>;
  kind?: { group: string; version: string; kind: string };
}

const meta = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const roots = [
  ...resources.map(({ typeName }) => typeName),
  ...["Status", "DeleteOptions", "Table", "PartialObjectMetadata", "APIResourceList", "APIGroupList", "APIVersions", "ListMeta"].map(
    (name) => meta + name,
  ),
];

const table = JSON.parse(readFileSync(new URL("../api/schema-table.json", import.meta.url), "utf8")) as {
  types: Record<string, TypeSchema>;
};
const target = new URL("../api/generated.ts", import.meta.url);

const short = (name: string): string => name.slice(name.lastIndexOf(".") + 1);

function typeOf(field: FieldSchema, reach: (name: string) => void): string {
  if (field.ref !== undefined) return refOf(field.ref, reach);
  if (field.list !== undefined) {
    const item = typeOf(field.list, reach);
    return item.includes("|") ? `(${item})[]` : `${item}[]`;
  }
  if (field.map !== undefined) return `Record<string, ${typeOf(field.map, reach)}>`;
  if (field.format === "object") return "unknown";
  if (field.format === "int-or-string") return "number | string";
  if (field.format === "quantity") return "string";
  if (field.enum !== undefined && field.scalar === "string") return field.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (field.scalar === "numeric") return "number";
  if (field.scalar === "boolean") return "boolean";
  if (field.scalar === "string") return "string";
  return "unknown";
}

function refOf(name: string, reach: (name: string) => void): string {
  const type = table.types[name];
  if (type?.fields === undefined) return name.endsWith("resource.Quantity") ? "string" : typeOf(type ?? {}, reach);
  reach(name);
  return short(name);
}

const done = new Map<string, string>();
const waiting = [...roots];
for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
  if (done.has(name)) continue;
  const type = table.types[name];
  if (type?.fields === undefined) throw new Error(`The schema table has no type ${name}`);
  const lines = Object.entries(type.fields).map(([field, schema]) => {
    // An owner reference's kind and version are its owner's.
    const constant =
      type.kind === undefined || name.endsWith(".OwnerReference")
        ? undefined
        : { kind: type.kind.kind, apiVersion: type.kind.group === "" ? type.kind.version : `${type.kind.group}/${type.kind.version}` }[
            field
          ];
    const required = schema.required === true || constant !== undefined || (type.kind !== undefined && field === "metadata");
    const text = constant === undefined ? typeOf(schema, (next) => waiting.push(next)) : JSON.stringify(constant);
    const key = /^[A-Za-z_$][\w$]*$/.test(field) ? field : JSON.stringify(field);
    return `  ${key}${required ? "" : "?"}: ${text};`;
  });
  done.set(
    name,
    `/** ${name.replace(/^io\.k8s\.(api|apimachinery\.pkg\.apis)\./, "")} */\nexport interface ${short(name)} {\n${lines.join("\n")}\n}\n`,
  );
}
const text = `// Generated from schema-table.json by tools/generate-types.ts; do not edit.\n\n${[...done]
  .sort(([a], [b]) => (short(a) < short(b) ? -1 : 1))
  .map(([, body]) => body)
  .join("\n")}`;
if (process.argv.includes("--check")) {
  if (readFileSync(target, "utf8") !== text) throw new Error("api/generated.ts is out of date: run node tools/generate-types.ts");
} else writeFileSync(target, text);
