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
  const lines = readFileSync(join(root, path), "utf8").split("\n");
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

/** The targets of a document's relative links, without what follows #. */
export function relativeLinks(path: string): string[] {
  const text = readFileSync(join(root, path), "utf8");
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => (match[1] ?? "").replace(/#.*$/, ""))
    .filter((link) => link !== "" && !/^[a-z]+:/.test(link));
}
