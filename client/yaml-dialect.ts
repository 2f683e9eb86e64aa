import { wholeNumber } from "@peapod/api";
import type { ScalarTag, SchemaOptions } from "yaml";

/**
 * YAML as Kubernetes reads it, for the `yaml` package: `yes` and `on` are true and 0644 is octal, as in YAML 1.1; but 12:30 and 2001-01-01 are
 * strings, and 0o644 is octal too, which go-yaml adds. JSON is a part of it. Whole numbers come without loss: see `exactNumber`.
 */
export const yamlDialect: SchemaOptions & { version: "1.1"; intAsBigInt: true } = {
  version: "1.1",
  schema: "yaml-1.1",
  merge: true,
  intAsBigInt: true,
  customTags: (tags) => [octal, binary, ...tags.filter((tag) => typeof tag === "string" || !isForeign(tag))],
};

/** For the parser's `reviver`: whole numbers are numbers, but for those beyond 2^53, which are LargeInteger. */
export function exactNumber(_key: unknown, value: unknown): unknown {
  return typeof value === "bigint" ? (wholeNumber(String(value)) ?? Number(value)) : value;
}

const octal: ScalarTag = {
  tag: "tag:yaml.org,2002:int",
  default: true,
  test: /^[-+]?0o[0-7]+$/,
  resolve: (text) => parseInt(text.replace("0o", ""), 8),
};

/** go-yaml gives the text that the base64 stands for. */
const binary: ScalarTag = {
  tag: "tag:yaml.org,2002:binary",
  resolve: (text) => Buffer.from(text, "base64").toString("utf8"),
};

/** What YAML 1.1 has and go-yaml reads as a string, or otherwise. */
function isForeign(tag: { tag: string; format?: string }): boolean {
  return tag.format === "TIME" || [":timestamp", ":omap", ":pairs", ":binary"].some((end) => tag.tag.endsWith(end));
}
