import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./steps.ts";

/** A fenced block of a document. */
export interface CodeBlock {
  /** `docs/guide.md:14` */
  readonly place: string;
  /** The first word after the fence; "" for a drawing. */
  readonly language: string;
  readonly text: string;
  /** `<!-- file: NAME -->` before it: it is written to that file in the document's working folder. */
  readonly file: string | undefined;
  /** `<!-- not run: REASON -->` before it. */
  readonly notRun: string | undefined;
}

/** The documents of the repository, by their paths. */
export function documents(): string[] {
  return globSync(["*.md", "docs/**/*.md", "*/README.md"], { cwd: root, exclude: ["node_modules"] }).toSorted();
}

/** The fenced blocks of a document, in order. Throws where a fence is not closed. */
export function codeBlocks(path: string): CodeBlock[] {
  const lines = readDocument(path).split("\n");
  const blocks: CodeBlock[] = [];
  for (let index = 0; index < lines.length; index += 1) {
    const fence = /^```(\S*)/.exec(lines[index] ?? "");
    if (fence === null) continue;
    const end = lines.indexOf("```", index + 1);
    if (end < 0) throw new Error(`${path}:${index + 1}: this block is not closed`);
    const note = /^<!-- (file|not run): (.+) -->$/.exec(lines[index - 1] ?? "");
    blocks.push({
      place: `${path}:${index + 1}`,
      language: fence[1] ?? "",
      text: `${lines.slice(index + 1, end).join("\n")}\n`,
      file: note?.[1] === "file" ? note[2] : undefined,
      notRun: note?.[1] === "not run" ? note[2] : undefined,
    });
    index = end;
  }
  return blocks;
}

/** A link to another document, or to a heading: `guide.md#as-a-service`. */
export interface RelativeLink {
  /** "" for the document itself. */
  readonly path: string;
  /** "" for none. */
  readonly heading: string;
}

/** The links of a document that lead into the repository. */
export function relativeLinks(path: string): RelativeLink[] {
  const targets = [...readDocument(path).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? "");
  return targets
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => ({ path: target.replace(/#.*$/, ""), heading: target.replace(/^[^#]*#?/, "") }));
}

/** The names under which a document's headings can be linked to, as GitHub makes them. */
export function headings(path: string): string[] {
  return [...readDocument(path).matchAll(/^#+ (.+)$/gm)].map((match) =>
    (match[1] ?? "")
      .toLowerCase()
      .replace(/[^\w\s-]/g, "")
      .replaceAll(" ", "-"),
  );
}

function readDocument(path: string): string {
  return readFileSync(join(root, path), "utf8");
}
