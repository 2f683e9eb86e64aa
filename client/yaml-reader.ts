import { Composer, CST, type Document, isAlias, isNode, isScalar, type LineCounter, Parser, visit, YAMLParseError } from "yaml";
import { yamlDialect } from "./yaml-dialect.ts";

export interface YamlReading {
  /** False: of a key that is there twice the last counts, as in JSON; to look for them takes the square of the time. */
  readonly uniqueKeys: boolean;
  /** Is told where the lines are. */
  readonly lines?: LineCounter;
}

/** The documents of a text, each with its errors: also where it says what JSON cannot. YAML as Kubernetes reads it, see `yamlDialect`. */
export function readYamlDocuments(text: string, { uniqueKeys, lines }: YamlReading): Document.Parsed[] {
  const tokens = new Parser(lines?.addNewLine).parse(normalize(text));
  const composer = new Composer({ ...yamlDialect, uniqueKeys, strict: true, logLevel: "error" });
  const documents = [...composer.compose(withSingleQuotes(tokens))];
  for (const document of documents) document.errors.push(...beyondJson(document));
  return documents;
}

/**
 * The text of a manifest: UTF-8, or UTF-16 with the mark that tells its byte order, as some editors and shells write it.
 * Throws a TypeError for any other.
 */
export function decodeYamlText(bytes: Uint8Array): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : "utf-8";
  return new TextDecoder(encoding, { fatal: true }).decode(bytes);
}

/** Every kind of line end; marks of byte order where files were joined; and `---#`, which kubectl takes for a separator. */
function normalize(text: string): string {
  return text
    .replaceAll(/\r\n?/g, "\n")
    .replaceAll(/^\uFEFF/gm, "")
    .replaceAll(/^---(?=#)/gm, "--- ");
}

/** go-yaml knows the escape `\'` in double quotes, which YAML does not. */
function* withSingleQuotes(tokens: Iterable<CST.Token>): Generator<CST.Token> {
  for (const token of tokens) {
    if (token.type === "document") {
      CST.visit(token, ({ key, value }) => {
        for (const scalar of [key, value]) {
          if (scalar?.type !== "double-quoted-scalar") continue;
          scalar.source = scalar.source.replaceAll(/\\[^]/g, (escape) => (escape === String.raw`\'` ? "'" : escape));
        }
      });
    }
    yield token;
  }
}

/** Keys that are no scalars, and numbers without end. */
function beyondJson(document: Document.Parsed): YAMLParseError[] {
  const found: YAMLParseError[] = [];
  const report = (node: unknown, message: string): void => {
    const at = (isNode(node) ? node.range?.[0] : undefined) ?? document.range[0];
    found.push(new YAMLParseError([at, at], "NON_STRING_KEY", message));
  };
  visit(document, {
    Pair: (_, { key }) => {
      if (isAlias(key)) return;
      if (!isScalar(key)) report(key, "a key must be a string, and this is a map or a list: write it in quotes");
      else if (key.value === null) report(key, "a key must be a string, and this one is empty");
    },
    Scalar: (_, node) => {
      if (typeof node.value === "number" && !Number.isFinite(node.value))
        report(node, `${node.source ?? node.value} is no number of JSON's`);
    },
  });
  return found;
}
