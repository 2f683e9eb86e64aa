import { cloneJson, equalJson, getField, isDeeperThan, isRecord, setField } from "../values/json.ts";
import { parseJson } from "../values/large-integer.ts";

/** A patch that cannot be read (`malformed`: answer 400) or does not fit the object (`unfit`: answer 422). */
export class PatchError extends Error {
  override readonly name = "PatchError";
  readonly kind: "malformed" | "unfit";
  constructor(kind: "malformed" | "unfit", message: string) {
    super(message);
    this.kind = kind;
  }
}

const MOST_OPERATIONS = 10_000;
/** Of all copies of one patch, as JSON: each may double what there is, and upstream takes as much. */
const MOST_COPIED_CHARACTERS = 3 * 1024 * 1024;
/** By all that is put into lists and taken out of them, together: each moves what stands behind it. */
const MOST_MOVED_ITEMS = 100_000_000;
const DEEPEST = 100; // levels; no object of the API comes near it

/** Throws PatchError where a patch nests deeper than any object may. */
export function checkDepth(patch: unknown): void {
  if (isDeeperThan(patch, DEEPEST)) throw new PatchError("malformed", `Cannot apply the patch: it nests deeper than ${DEEPEST} levels`);
}

/** RFC 6902: applies a list of operations to a copy. Throws PatchError. */
export function applyJsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw new PatchError("malformed", "Cannot read the JSON patch: it is not a list of operations");
  checkDepth(patch);
  if (patch.length > MOST_OPERATIONS) {
    throw new PatchError("malformed", `Cannot apply the JSON patch: ${patch.length} operations, at most ${MOST_OPERATIONS} are allowed`);
  }
  let document: unknown = cloneJson(target);
  const spent: Spent = { copiedCharacters: 0, movedItems: 0 };
  for (const [index, operation] of patch.entries()) document = applyOperation(document, operation, index, spent);
  return document;
}

/** What the operations of one patch have cost so far. */
interface Spent {
  copiedCharacters: number;
  movedItems: number;
}

function applyOperation(document: unknown, operation: unknown, index: number, spent: Spent): unknown {
  if (!isRecord(operation)) throw new PatchError("malformed", `Cannot read operation ${index} of the JSON patch: it is not an object`);
  const op = operation["op"];
  const path = pointer(operation, "path", index);
  switch (op) {
    case "add":
      return add(document, path, cloneJson(valueOf(operation, index)), spent);
    case "remove":
      return remove(document, path, spent);
    case "replace":
      return replace(document, path, cloneJson(valueOf(operation, index)));
    case "move":
      return move(document, pointer(operation, "from", index), path, spent);
    case "copy":
      return add(document, path, copy(read(document, pointer(operation, "from", index)), spent), spent);
    case "test":
      if (!equalJson(read(document, path), valueOf(operation, index))) {
        throw new PatchError("unfit", `The value at ${show(path)} is not what operation ${index} of the JSON patch tests for`);
      }
      return document;
    default:
      throw new PatchError("malformed", `Operation ${index} of the JSON patch has an unknown op ${JSON.stringify(op) ?? "(none)"}`);
  }
}

function copy(value: unknown, spent: Spent): unknown {
  const text = JSON.stringify(value);
  spent.copiedCharacters += text.length;
  if (spent.copiedCharacters > MOST_COPIED_CHARACTERS) {
    throw new PatchError("malformed", `Cannot apply the JSON patch: its copies make more than ${MOST_COPIED_CHARACTERS} characters`);
  }
  return parseJson(text);
}

type Path = readonly string[];

function pointer(operation: Record<string, unknown>, name: "path" | "from", index: number): Path {
  const text = getField(operation, name);
  if (typeof text !== "string" || (text !== "" && !text.startsWith("/")) || /~(?![01])/.test(text)) {
    throw new PatchError(
      "malformed",
      `Operation ${index} of the JSON patch needs a JSON pointer in "${name}", found ${JSON.stringify(text) ?? "nothing"}`,
    );
  }
  if (text === "") return [];
  return text
    .slice(1)
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function valueOf(operation: Record<string, unknown>, index: number): unknown {
  if (!Object.hasOwn(operation, "value")) throw new PatchError("malformed", `Operation ${index} of the JSON patch has no value`);
  return operation["value"];
}

function read(document: unknown, path: Path): unknown {
  let value = document;
  for (const [depth, part] of path.entries()) {
    if (Array.isArray(value)) value = value[itemIndex(value, part, path, value.length - 1)];
    else if (isRecord(value) && Object.hasOwn(value, part)) value = value[part];
    else throw new PatchError("unfit", `The object has nothing at ${show(path.slice(0, depth + 1))}`);
  }
  return value;
}

function add(document: unknown, path: Path, value: unknown, spent: Spent): unknown {
  const last = path.at(-1);
  if (last === undefined) return value;
  const parent = read(document, path.slice(0, -1));
  if (Array.isArray(parent)) {
    const at = last === "-" ? parent.length : itemIndex(parent, last, path, parent.length);
    splice(parent, { at, remove: 0, put: [value] }, spent);
  } else if (isRecord(parent)) setField(parent, last, value);
  else throw new PatchError("unfit", `The value at ${show(path.slice(0, -1))} is neither an object nor a list`);
  return document;
}

function remove(document: unknown, path: Path, spent: Spent): unknown {
  const last = path.at(-1);
  if (last === undefined) return null;
  read(document, path);
  const parent = read(document, path.slice(0, -1));
  if (Array.isArray(parent)) splice(parent, { at: itemIndex(parent, last, path, parent.length - 1), remove: 1, put: [] }, spent);
  else if (isRecord(parent)) delete parent[last];
  return document;
}

function replace(document: unknown, path: Path, value: unknown): unknown {
  read(document, path);
  const last = path.at(-1);
  if (last === undefined) return value;
  const parent = read(document, path.slice(0, -1));
  if (Array.isArray(parent)) parent[itemIndex(parent, last, path, parent.length - 1)] = value;
  else if (isRecord(parent)) setField(parent, last, value);
  return document;
}

function move(document: unknown, from: Path, path: Path, spent: Spent): unknown {
  if (path.length > from.length && from.every((part, depth) => part === path[depth])) {
    throw new PatchError("unfit", `Cannot move ${show(from)} into itself at ${show(path)}`);
  }
  const value = read(document, from);
  return add(remove(document, from, spent), path, value, spent);
}

function splice(list: unknown[], change: { at: number; remove: number; put: readonly unknown[] }, spent: Spent): void {
  spent.movedItems += list.length - change.at;
  if (spent.movedItems > MOST_MOVED_ITEMS) {
    throw new PatchError(
      "malformed",
      `Cannot apply the JSON patch: it moves more than ${MOST_MOVED_ITEMS} items of lists; replace the list`,
    );
  }
  list.splice(change.at, change.remove, ...change.put);
}

function itemIndex(list: readonly unknown[], part: string, path: Path, highest: number): number {
  const index = /^(0|[1-9]\d{0,8})$/.test(part) ? Number(part) : -1;
  if (index < 0 || index > highest) {
    throw new PatchError("unfit", `The list at ${show(path)} has ${list.length} items and none at "${part}"`);
  }
  return index;
}

function show(path: Path): string {
  return path.length === 0 ? "the root" : `/${path.map((part) => part.replaceAll("~", "~0").replaceAll("/", "~1")).join("/")}`;
}
