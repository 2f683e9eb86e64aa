import { isRecord } from "@peapod/api";

/**
 * A JSON value as YAML that people read: fields sorted by name, in blocks, texts of several lines as they are. Made for long answers: it takes
 * about as long as JSON does.
 */
export function writeYaml(value: unknown): string {
  const pieces: string[] = [];
  writeNode(value, "", pieces);
  return pieces.join("").replace(/^[\n ]/, "");
}

/** Writes what follows `name:` or `-`, from the space or the line break on. */
function writeNode(value: unknown, indent: string, pieces: string[]): void {
  if (Array.isArray(value) && value.length > 0) {
    pieces.push("\n");
    for (const item of value) {
      pieces.push(indent, "-");
      writeItem(item, indent, pieces);
    }
  } else if (isRecord(value) && membersOf(value).length > 0) {
    pieces.push("\n");
    writeMembers(value, indent, pieces, indent);
  } else pieces.push(" ", scalar(value, indent), "\n");
}

/** An item's first field stands on the line of its dash. */
function writeItem(item: unknown, indent: string, pieces: string[]): void {
  if (!isRecord(item) || membersOf(item).length === 0) return writeNode(item, `${indent}  `, pieces);
  pieces.push(" ");
  writeMembers(item, `${indent}  `, pieces, "");
}

function writeMembers(value: Record<string, unknown>, indent: string, pieces: string[], firstIndent: string): void {
  let before = firstIndent;
  for (const name of membersOf(value)) {
    const member = value[name];
    pieces.push(before, isPlain(name) ? name : quote(name), ":");
    writeNode(member, Array.isArray(member) ? indent : `${indent}  `, pieces);
    before = indent;
  }
}

/** What JSON would write of an object, in the order that upstream writes it in. */
function membersOf(value: Record<string, unknown>): string[] {
  return Object.keys(value)
    .filter((name) => value[name] !== undefined)
    .sort();
}

function scalar(value: unknown, indent: string): string {
  if (typeof value !== "string") return JSON.stringify(value) ?? "null";
  if (isPlain(value)) return value;
  return isBlock(value) ? block(value, indent) : quote(value);
}

/** Texts that no reader takes for anything else; there are others. */
function isPlain(text: string): boolean {
  return /^[A-Za-z][\w./-]*$/.test(text) && !/^(true|false|yes|no|on|off|y|n|null)$/i.test(text);
}

/** Lines that stand as they are, below their field: printable, with a first one that shows how far all are indented. */
function isBlock(text: string): boolean {
  return text.includes("\n") && /^[^\s#-][\t\n\x20-\x7e\u00a0-\u2027\u202a-\ud7ff]*$/.test(text);
}

function block(text: string, indent: string): string {
  const end = text.endsWith("\n\n") ? "+" : text.endsWith("\n") ? "" : "-";
  const lines = text.replace(/\n$/, "").split("\n");
  const inner = indent === "" ? "  " : indent;
  return `|${end}${lines.map((line) => (line === "" ? "\n" : `\n${inner}${line}`)).join("")}`;
}

/** JSON's quotes are YAML's, but for characters that YAML wants escaped. */
function quote(text: string): string {
  return JSON.stringify(text).replace(
    /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
