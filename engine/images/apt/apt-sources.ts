import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { isErrno, readTextIfPresent } from "@peapod/kit";

/** A file of apt's sources: one-line style (`.list`) or deb822 (`.sources`), by its name. */
export interface SourcesFile {
  readonly name: string;
  readonly content: string;
}

/** The machine's own apt sources, as they are. */
export async function readMachineSources(etcApt: string): Promise<SourcesFile[]> {
  const files: SourcesFile[] = [];
  const main = await readTextIfPresent(join(etcApt, "sources.list"));
  if (main !== undefined) files.push({ name: "sources.list", content: main });
  const parts = join(etcApt, "sources.list.d");
  for (const name of (await readdirIfPresent(parts)).toSorted()) {
    if (/\.(?:list|sources)$/.test(name)) files.push({ name: basename(name), content: await readFile(join(parts, name), "utf8") });
  }
  return files.filter(({ content }) => /^\s*[^\s#]/m.test(content));
}

/**
 * The sources for another suite of the same distribution: those of `own` and its companions (`own-security`), with
 * `suite` in its place. What is there for other suites, and other people's repositories, is left out.
 */
export function sourcesForSuite(files: readonly SourcesFile[], own: string, suite: string): SourcesFile[] {
  const change = (name: string): string | undefined => {
    const rest = name.startsWith(own) ? name.slice(own.length) : undefined;
    return rest === "" || rest?.startsWith("-") === true || rest?.startsWith("/") === true ? suite + rest : undefined;
  };
  return files
    .map(({ name, content }) => ({
      name,
      content: name.endsWith(".sources") ? changeStanzas(content, change) : changeLines(content, change),
    }))
    .filter(({ content }) => content !== "");
}

type ChangeSuite = (name: string) => string | undefined;

/** `deb [options] URI SUITE COMPONENT...` */
function changeLines(content: string, change: ChangeSuite): string {
  return content
    .split("\n")
    .flatMap((line) => {
      const match = /^\s*(deb\s+(?:\[[^\]]*\]\s+)?\S+\s+)(\S+)(\s.*)?$/.exec(line);
      const suite = change(match?.[2] ?? "");
      return match === null || suite === undefined ? [] : [`${match[1]}${suite}${match[3] ?? ""}\n`];
    })
    .join("");
}

function changeStanzas(content: string, change: ChangeSuite): string {
  return content
    .replace(/^#.*\n?/gm, "")
    .split(/\n\s*\n/)
    .flatMap((stanza) => {
      const suites = /^Suites:(.*(?:\n[ \t].*)*)/im.exec(stanza)?.[1]?.trim().split(/\s+/) ?? [];
      const changed = suites.map(change).filter((name) => name !== undefined);
      if (changed.length === 0 || !/^Types:.*\bdeb\b(?!-)/im.test(stanza) || /^Enabled:\s*no\b/im.test(stanza)) return [];
      return [`${stanza.trim().replace(/^Suites:.*(?:\n[ \t].*)*/im, `Suites: ${changed.join(" ")}`)}\n`];
    })
    .join("\n");
}

async function readdirIfPresent(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return [];
    throw cause;
  }
}
