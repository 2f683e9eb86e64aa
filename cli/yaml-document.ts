import { exactNumber } from "@peapod/client";
import { readYamlDocuments } from "@peapod/client/yaml";
import { type Document, isAlias, isCollection, isMap, isScalar, LineCounter } from "yaml";
import { indentContinuations } from "./indent-continuations.ts";
import { cutJsonDocuments } from "./json-documents.ts";

type Path = readonly (string | number)[];

/** One document of a text: its value, and where each part of it stands. */
export interface YamlDocument {
  readonly value: unknown;
  /** The line of a field's name, or of the nearest part around it that is there. */
  lineOf(path: Path): number;
  /** A scalar as it was written, where that was without quotes: `1.10`, `yes`. */
  sourceOf(path: Path): string | undefined;
}

/** A place where the text is no YAML. */
export interface YamlProblem {
  readonly line: number;
  readonly message: string;
}

/** An alias that stands for an alias that stands for ...: more than a person writes. */
const MOST_ALIASES = 1_000;

/** What Kubernetes' own reader takes: YAML, JSON, and JSON objects one after the other. Empty documents are left out. */
export function parseYaml(text: string): { documents: YamlDocument[]; problems: YamlProblem[] } {
  const documents: YamlDocument[] = [];
  const problems: YamlProblem[] = [];
  let linesBefore = 0;
  for (const part of cutJsonDocuments(text)) {
    const { read, lines } = readPart(part);
    const lineAt = countFrom(linesBefore, lines);
    for (const document of read) {
      for (const { pos, message } of document.errors) problems.push({ line: lineAt(pos[0]), message: sentence(message) });
      if (document.errors.length > 0 || document.contents === null) continue;
      try {
        const value: unknown = document.toJS({ maxAliasCount: MOST_ALIASES, reviver: exactNumber });
        if (value !== null) documents.push(placed(document, value, lineAt));
      } catch (cause) {
        problems.push({ line: lineAt(startOf(document)), message: cause instanceof Error ? sentence(cause.message) : String(cause) });
      }
    }
    linesBefore += lines.lineStarts.length - 1;
  }
  return { documents, problems };
}

/** The text as it is, or with its continuations indented where that has fewer faults. */
function readPart(part: string): { read: Document.Parsed[]; lines: LineCounter } {
  const plain = readCounted(part);
  if (plain.faults === 0) return plain;
  const indented = readCounted(indentContinuations(part));
  return indented.faults < plain.faults ? indented : plain;
}

function readCounted(text: string): { read: Document.Parsed[]; lines: LineCounter; faults: number } {
  const lines = new LineCounter();
  const read = readYamlDocuments(text, { uniqueKeys: true, lines });
  return { read, lines, faults: read.reduce((count, { errors }) => count + errors.length, 0) };
}

function countFrom(linesBefore: number, lines: LineCounter): (offset: number) => number {
  return (offset) => linesBefore + lines.linePos(offset).line;
}

function placed(document: Document.Parsed, value: unknown, lineAt: (offset: number) => number): YamlDocument {
  return {
    value,
    lineOf: (path) => lineAt(find(document, path).offset),
    sourceOf: (path) => {
      const { node } = find(document, path);
      return isScalar(node) && node.type === "PLAIN" ? node.source : undefined;
    },
  };
}

/** What stands at a path, or undefined; and where its name does, or the nearest part around it. */
function find(document: Document.Parsed, path: Path): { node: unknown; offset: number } {
  let node: unknown = document.contents;
  let offset = startOf(document);
  for (const segment of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(segment));
      if (pair === undefined) return { node: undefined, offset };
      offset = offsetOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isCollection(node)) {
      node = node.items[Number(segment)];
      offset = offsetOf(node) ?? offset;
    } else return { node: undefined, offset };
  }
  return { node: isAlias(node) ? node.resolve(document) : node, offset };
}

function startOf(document: Document.Parsed): number {
  return document.contents?.range[0] ?? document.range[0];
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
