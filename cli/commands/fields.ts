import { type FieldEntry, kindNamed, listFields } from "@peapod/api";
import { CliError, exitCodes } from "../cli-error.ts";
import type { Invocation } from "../command.ts";
import { absentKind, writtenKind } from "../kinds.ts";
import { printValue } from "../print-value.ts";
import { formatTable } from "../table.ts";

const titles = {
  supported: "supported: works as on a cluster",
  accepted: "accepted: has no effect on one machine, and a warning says so",
  refused: "refused: an error says so",
} as const;

/** `peapod fields`: the three lists of what a manifest may say. */
export async function fields(invocation: Invocation): Promise<number> {
  const { positionals, flags, terminal } = invocation;
  const only = flags.string("only");
  const found = select(positionals[0] ?? "pod").filter(({ support }) => only === undefined || support === only);
  if (flags.string("output") !== undefined) return await printValue(invocation, found);
  for (const [support, title] of Object.entries(titles)) {
    const entries = found.filter((entry) => entry.support === support);
    if (entries.length === 0) continue;
    terminal.line(terminal.paint("bold", title));
    const hasNotes = entries.some(({ note }) => note !== "");
    const rows = entries.map(({ path, type, note }) => (hasNotes ? [`  ${path}`, type, note] : [`  ${path}`, type]));
    terminal.line(formatTable(hasNotes ? ["  FIELD", "TYPE", "NOTE"] : ["  FIELD", "TYPE"], rows));
  }
  return exitCodes.success;
}

/** `pod.spec.containers`: a kind, then a path in it; the brackets of lists may be left out. */
function select(word: string): FieldEntry[] {
  const [kindWord = "", ...steps] = word.replaceAll("[]", "").replace(/\.$/, "").split(".");
  const resource = writtenKind(kindWord);
  if (resource === undefined) throw new CliError(absentKind(kindNamed(kindWord) ?? kindWord));
  const path = steps.join(".").toLowerCase();
  const found = listFields(resource).filter((entry) => {
    const plain = entry.path.replaceAll("[]", "").toLowerCase();
    // Below a field that is taken or refused as a whole nothing is listed: the field itself answers.
    return path === "" || plain === path || plain.startsWith(`${path}.`) || (path.startsWith(`${plain}.`) && entry.support !== "supported");
  });
  if (found.length === 0)
    throw new CliError(`A ${resource.kind} has no field "${steps.join(".")}"; see peapod fields ${resource.singular}`);
  return found;
}
