import type { Shape, Type } from "./decode.ts";

/** The keys of one mapping of the configuration. */
export interface ReferenceSection {
  /** `listeners[].upstream`; "" for the top. */
  readonly path: string;
  readonly fields: readonly ReferenceField[];
}

export interface ReferenceField {
  readonly key: string;
  readonly type: string;
  /** `required`, a default, or "" for none. */
  readonly fallback: string;
  readonly help: string;
  /** The variants that have it like this; empty: all that have the mapping. */
  readonly only: readonly string[];
}

/** Everything that a configuration may say, for the documents, in the order of the schema. Pure. */
export function configurationReference({ shape }: Type<unknown>): ReferenceSection[] {
  const rows: Row[] = [];
  collect(shape, "", "", rows);
  return [...new Set(rows.map(({ section }) => section))].map((path) => {
    const own = rows.filter(({ section }) => section === path);
    const everyone = new Set(own.map(({ variant }) => variant));
    const same = Map.groupBy(own, ({ variant: _variant, ...rest }) => JSON.stringify(rest));
    const fields = [...same.values()].flatMap(([row, ...others]) => {
      if (row === undefined) return [];
      const only = new Set([row, ...others].map(({ variant }) => variant));
      return { key: row.key, type: row.type, fallback: row.fallback, help: row.help, only: only.size === everyone.size ? [] : [...only] };
    });
    return { path, fields: inOrder(fields) };
  });
}

interface Row extends Omit<ReferenceField, "only"> {
  readonly section: string;
  /** The innermost variant around it; "" for none. */
  readonly variant: string;
}

function collect(shape: Shape, section: string, variant: string, rows: Row[], tag?: { readonly key: string; readonly type: string }): void {
  if (shape.kind === "list") collect(shape.element, `${section}[]`, variant, rows);
  if (shape.kind === "variants") {
    const type = [...shape.of.keys()].join(", ");
    for (const [name, inner] of shape.of) collect(inner, section, name, rows, { key: shape.tag, type });
  }
  if (shape.kind !== "record") return;
  for (const { key, shape: inner, fallback, help } of shape.entries)
    rows.push({ section, variant, key, type: key === tag?.key ? tag.type : typeOf(inner), fallback, help });
  for (const { key, shape: inner } of shape.entries) collect(inner, section === "" ? key : `${section}.${key}`, variant, rows);
}

function typeOf(shape: Shape): string {
  if (shape.kind === "scalar") return shape.name;
  if (shape.kind === "list") return shape.element.kind === "scalar" ? `list of ${shape.element.name}` : "list of mappings";
  return "mapping";
}

/** Rows of the same key side by side, where the key came first. */
function inOrder(fields: readonly ReferenceField[]): ReferenceField[] {
  const keys = [...new Set(fields.map(({ key }) => key))];
  return keys.flatMap((key) => fields.filter((field) => field.key === key));
}
