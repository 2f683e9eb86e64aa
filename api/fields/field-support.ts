import { formatPath, type PathSegments } from "./field-path.ts";
import type { FieldRule, Support, TypeRules, Verdict } from "./field-rule.ts";
import { metadataRules } from "./field-rules-objects.ts";
import { isRecord } from "../values/json.ts";
import type { KubeObject, Resource } from "../kinds/resource.ts";
import { resources } from "../kinds/resources.ts";
import { type FieldSchema, resolveSchema, typeNameOfKind, typeSchema } from "./schema.ts";

/** One field of a kind, as `peapod fields` shows it. */
export interface FieldEntry {
  /** `spec.containers[].image` */
  readonly path: string;
  /** `string`, `list of Container`, `map of quantity` */
  readonly type: string;
  readonly support: Support;
  readonly note: string;
}

/** What to tell whoever wrote this object. Messages stand without the path. */
export interface SupportReport {
  readonly warnings: readonly SupportNote[];
  readonly refusals: readonly SupportNote[];
}

/** One sentence about one field. */
export interface SupportNote {
  readonly path: string;
  readonly pathSegments: readonly (string | number)[];
  readonly message: string;
}

/** What is decided for every field of every type that the engine serves, by the type's short name. */
export const fieldRules: Readonly<Record<string, TypeRules>> = Object.assign(
  { ...metadataRules },
  ...resources.map(({ fieldRules: own }) => own),
);

/** Every field of a kind, in the order of their paths; below a field that is accepted, refused or supported as a whole nothing more is listed. */
export function listFields(resource: Resource): FieldEntry[] {
  return listType(resource.typeName, "", []);
}

/** What of this decoded object has no effect here, and what is refused. Says nothing of kinds that the engine does not serve. */
export function checkSupport(object: KubeObject): SupportReport {
  const typeName = typeNameOfKind(object.apiVersion, object.kind);
  const report = { warnings: [] as SupportNote[], refusals: [] as SupportNote[] };
  if (typeName === undefined || rulesOf(typeName) === undefined) return report;
  checkFields(object, typeName, [], (pathSegments, { support, note }, path = formatPath(pathSegments)) => {
    const list = support === "refused" ? report.refusals : report.warnings;
    list.push({ path, pathSegments, message: note });
  });
  return report;
}

type Report = (segments: PathSegments, verdict: Verdict, path?: string) => void;

function checkFields(value: unknown, typeName: string, path: PathSegments, report: Report): void {
  const rules = rulesOf(typeName) ?? {};
  const fields = typeSchema(typeName)?.fields ?? {};
  if (!isRecord(value)) return;
  for (const [name, member] of Object.entries(value)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    const schema = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (rule !== undefined && schema !== undefined && member !== undefined && member !== null)
      checkField({ value: member, parent: value, rule, schema }, [...path, name], report);
  }
}

interface Member {
  readonly value: unknown;
  readonly parent: Readonly<Record<string, unknown>>;
  readonly rule: FieldRule;
  readonly schema: FieldSchema;
}

function checkField({ value, parent, rule, schema }: Member, path: PathSegments, report: Report): void {
  if (rule.support !== "supported") {
    if (!(rule.isQuiet ?? isEmpty)(value)) report(path, { support: rule.support, note: rule.note });
    return;
  }
  const verdict = rule.judge?.(value, parent);
  if (verdict !== undefined) report(path, verdict);
  if (rule.judgeEntry !== undefined && isRecord(value)) {
    for (const [key, member] of Object.entries(value)) {
      const entryVerdict = rule.judgeEntry(key, member);
      if (entryVerdict !== undefined) report([...path, key], entryVerdict, `${formatPath(path)}[${key}]`); // a map's key, as upstream writes it
    }
  }
  if (rule.whole === true) return;
  if (schema.ref !== undefined) checkFields(value, schema.ref, path, report);
  const item = schema.list?.ref;
  if (item !== undefined && Array.isArray(value))
    for (const [index, member] of value.entries()) checkFields(member, item, [...path, index], report);
}

/** Numbers are never empty: 0 is root. */
function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return value === "" || value === false || (isRecord(value) && Object.keys(value).length === 0);
}

function listType(typeName: string, prefix: string, above: readonly string[]): FieldEntry[] {
  const rules = rulesOf(typeName) ?? {};
  return Object.entries(typeSchema(typeName)?.fields ?? {}).flatMap(([name, schema]) => {
    const rule = rules[name];
    if (rule === undefined) throw new Error(`Nothing is decided for field "${name}" of ${typeName}: add it to the field rules`);
    const path = prefix === "" ? name : `${prefix}.${name}`;
    const entry = { path, type: describeType(schema), support: rule.support, note: rule.note };
    const ref = schema.ref ?? schema.list?.ref;
    const ends = rule.support !== "supported" || rule.whole === true || ref === undefined || typeSchema(ref)?.fields === undefined;
    if (ends || above.includes(ref)) return [entry];
    return [entry, ...listType(ref, schema.list === undefined ? path : `${path}[]`, [...above, typeName])];
  });
}

function describeType(given: FieldSchema): string {
  const schema = resolveSchema(given);
  if (schema.list !== undefined) return `list of ${describeType(schema.list)}`;
  if (schema.map !== undefined) return `map of ${describeType(schema.map)}`;
  if (schema.ref !== undefined) return shortName(schema.ref);
  const formats: Readonly<Record<string, string>> = {
    quantity: "quantity",
    "int-or-string": "integer or string",
    "date-time": "time",
    "date-time-micro": "time",
    byte: "base64",
    object: "any",
  };
  const format = formats[schema.format ?? ""];
  if (format !== undefined) return format;
  return schema.scalar === "numeric" ? (schema.format === "double" ? "number" : "integer") : (schema.scalar ?? "any");
}

function rulesOf(typeName: string): TypeRules | undefined {
  const name = shortName(typeName);
  return Object.hasOwn(fieldRules, name) ? fieldRules[name] : undefined;
}

function shortName(typeName: string): string {
  return typeName.slice(typeName.lastIndexOf(".") + 1);
}
