import { readFile } from "node:fs/promises";

/** Where something is mounted at `directory` or anywhere below it, deepest first; the mounts on one place come once for each. */
export async function mountsUnder(directory: string): Promise<string[]> {
  // The whole file, read again each time: the kernel gives a consistent view only within one read.
  const mountinfo = await readFile("/proc/self/mountinfo", "utf8"); // the kernel takes milliseconds for thousands of mounts
  if (!mountinfo.includes(` ${escape(directory)}`)) return []; // mostly, and cheaper than to take thousands of lines apart
  const points = parseMountPoints(mountinfo);
  return points.filter((point) => point === directory || point.startsWith(`${directory}/`)).reverse();
}

/**
 * The mount points of a mountinfo file, in mount order: a later one may lie on or below an earlier one, never the other way round
 * unless it was moved, so the reverse is a safe order to unmount in.
 */
export function parseMountPoints(mountinfo: string): string[] {
  const points: string[] = [];
  for (const line of mountinfo.split("\n")) {
    const point = line.split(" ")[4];
    if (point !== undefined) points.push(unescape(point));
  }
  return points;
}

function escape(path: string): string {
  return path.replace(/[ \t\n\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`);
}

/** The kernel writes space, tab, newline and backslash as octal (seq_path). */
function unescape(field: string): string {
  if (!field.includes("\\")) return field;
  // Octal escapes stand for bytes of UTF-8 text that is otherwise left as it is: only these four ever come.
  return field.replace(/\\(040|011|012|134)/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
