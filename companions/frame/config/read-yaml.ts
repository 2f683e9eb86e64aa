import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type ParsedNode, parseAllDocuments, type Document } from "yaml";
import type { Path, Raw } from "./decode.ts";

/** As large as a ConfigMap can be. */
const LIMIT_BYTES = 1024 * 1024;
/** Mappings, lists and scalars, aliases counted for what they stand for: a few lines of aliases can stand for billions. */
const LIMIT_NODES = 50_000;
const LIMIT_DEPTH = 32;

/** One document of YAML as text, lists and mappings, with the line of each. */
export interface YamlDocument {
  /** Undefined: there is nothing in it. */
  readonly raw: Raw | undefined;
  /** The line, from 1, of the key or item that a path names, or of the last one on the way that is there. */
  lineOf(path: Path): number;
}

/** What keeps a text from being YAML that can be read. */
export interface YamlProblem {
  readonly line: number;
  readonly message: string;
}

/** Reads one document. Every scalar stays text, but for nothing at all, `~` and `null`, which are as if their key were not there. */
export function readYaml(text: string): YamlDocument | readonly YamlProblem[] {
  if (Buffer.byteLength(text) > LIMIT_BYTES) return [{ line: 1, message: "is over 1 MiB" }];
  const lines = new LineCounter();
  const lineAt = (offset: number): number => Math.max(1, lines.linePos(offset).line);
  let documents: readonly Document.Parsed[];
  try {
    documents = [...parseAllDocuments(text, { schema: "failsafe", prettyErrors: false, uniqueKeys: true, lineCounter: lines })];
  } catch (cause) {
    if (cause instanceof RangeError) return [{ line: 1, message: "is nested too deeply" }]; // the parser calls itself for each level
    throw cause;
  }
  const problems = documents.flatMap(({ errors, warnings }) => [...errors, ...warnings]);
  if (problems.length > 0) {
    const [first, ...more] = problems.map(({ message, pos }) => ({
      line: lineAt(pos[0]),
      message: `is not valid YAML: ${firstLine(message)}`,
    }));
    return first === undefined ? [] : [first, ...more.filter(({ line }) => line !== first.line)]; // on its own line the rest follows from it
  }
  const [document, second] = documents;
  if (second !== undefined) return [{ line: lineAt(second.range[0]), message: "is a second document: there can be only one" }];
  if (document === undefined) return { raw: undefined, lineOf: () => 1 };
  try {
    return { raw: new Reader(document).read(document.contents, 0), lineOf: (path) => lineAt(offsetOf(document, path)) };
  } catch (cause) {
    if (cause instanceof NotReadable) return [{ line: lineAt(cause.offset), message: cause.message }];
    throw cause;
  }
}

class NotReadable extends Error {
  readonly offset: number;
  constructor(node: Node | null, message: string) {
    super(message);
    this.offset = node?.range?.[0] ?? 0;
  }
}

class Reader {
  readonly #document: Document.Parsed;
  #nodes = 0;

  constructor(document: Document.Parsed) {
    this.#document = document;
  }

  read(given: Node | null, depth: number): Raw | undefined {
    this.#nodes += 1;
    if (this.#nodes > LIMIT_NODES)
      throw new NotReadable(given, `says more than ${LIMIT_NODES} things, aliases counted for what they stand for`);
    if (depth > LIMIT_DEPTH) throw new NotReadable(given, `is nested more than ${LIMIT_DEPTH} levels deep`);
    const node = resolve(this.#document, given);
    if (isAlias(given) && node === undefined) throw new NotReadable(given, `has no &${given.source} before this *${given.source}`);
    if (isMap(node)) {
      const map = new Map<string, Raw>();
      for (const { key, value } of node.items as readonly { key: Node; value: Node | null }[]) {
        // of a parsed document
        const raw = this.read(value, depth + 1);
        if (raw !== undefined) map.set(keyText(key), raw);
      }
      return map;
    }
    if (isSeq(node)) return (node.items as readonly Node[]).map((item) => this.read(item, depth + 1) ?? ""); // of a parsed document
    if (!isScalar(node)) return undefined;
    const isNothing = node.type === "PLAIN" && /^(~|null|Null|NULL|)$/.test(String(node.value));
    return isNothing ? undefined : String(node.value);
  }
}

function offsetOf(document: Document.Parsed, path: Path): number {
  let node: Node | null | undefined = document.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const step of path) {
    const here = resolve(document, node ?? null);
    if (isMap(here)) {
      const pair = (here.items as readonly { key: Node; value: Node | null }[]).find(({ key }) => keyText(key) === step);
      if (pair === undefined) return offset;
      offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(here) && typeof step === "number") {
      node = here.items[step] as ParsedNode | undefined; // of a parsed document
      offset = node?.range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}

function resolve(document: Document.Parsed, node: Node | null): Node | undefined {
  return (isAlias(node) ? node.resolve(document) : node) ?? undefined;
}

function keyText(key: Node): string {
  return isScalar(key) ? String(key.value) : "?";
}

function firstLine(message: string): string {
  return message.split("\n", 1)[0] ?? "";
}
