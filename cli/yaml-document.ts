import { exactNumber, yamlDialect } from "@peapod/client";
import { type Document, isAlias, isCollection, isMap, isScalar, LineCounter, parseAllDocuments } from "yaml";

/** One document of a text: its value, and where each part of it stands. */
export interface YamlDocument {
  readonly value: unknown;
  /** The line of a field's name, or of the nearest part around it that is there. */
  lineOf(path: readonly (string | number)[]): number;
}

/** A place where the text is no YAML. */
export interface YamlProblem {
  readonly line: number;
  readonly message: string;
}

/** An alias that stands for an alias that stands for ...: more than a person writes. */
const MOST_ALIASES = 1_000;

/** YAML as Kubernetes reads it (see `yamlDialect`). JSON is a part of it. Empty documents are left out. */
export function parseYaml(text: string): { documents: YamlDocument[]; problems: YamlProblem[] } {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text.replace(/^\uFEFF/, ""), {
    ...yamlDialect,
    lineCounter: lines,
    uniqueKeys: true,
    prettyErrors: false,
    strict: true,
  });
  const documents: YamlDocument[] = [];
  const problems: YamlProblem[] = [];
  for (const document of Array.isArray(parsed) ? parsed : []) {
    for (const { pos, message } of document.errors) problems.push({ line: lines.linePos(pos[0]).line, message: sentence(message) });
    if (document.errors.length > 0 || document.contents === null) continue;
    try {
      const value: unknown = document.toJS({ maxAliasCount: MOST_ALIASES, reviver: exactNumber });
      if (value !== null) documents.push({ value, lineOf: (path) => lineOf(document, lines, path) });
    } catch (cause) {
      problems.push({ line: lineOf(document, lines, []), message: cause instanceof Error ? sentence(cause.message) : String(cause) });
    }
  }
  return { documents, problems };
}

function lineOf(document: Document.Parsed, lines: LineCounter, path: readonly (string | number)[]): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range[0] ?? document.range[0];
  for (const segment of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(segment));
      if (pair === undefined) break;
      offset = offsetOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isCollection(node)) {
      node = node.items[Number(segment)];
      offset = offsetOf(node) ?? offset;
    } else break;
  }
  return lines.linePos(offset).line;
}

function offsetOf(node: unknown): number | undefined {
  return typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range) ? Number(node.range[0]) : undefined;
}

/** The parser's words, begun small as all of ours after a place, and without the snippet it may add. */
function sentence(message: string): string {
  const first = message.split("\n")[0] ?? message;
  if (first.startsWith("Map keys must be unique")) return "this key is there twice";
  if (first.startsWith("Excessive alias count")) return "too many aliases, which would grow without bound";
  return first.charAt(0).toLowerCase() + first.slice(1).replace(/\.$/, "");
}
