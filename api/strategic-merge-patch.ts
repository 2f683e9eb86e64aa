import { cloneJson, equalJson, getField, isRecord, setField } from "./json.ts";
import { checkDepth, PatchError } from "./json-patch.ts";
import { type FieldSchema, fieldSchema } from "./schema.ts";

type Fields = Record<string, unknown>;

const PATCH = "$patch";
const RETAIN_KEYS = "$retainKeys";
const SET_ORDER = "$setElementOrder/";
const DELETE_FROM_LIST = "$deleteFromPrimitiveList/";

/**
 * Kubernetes' strategic merge patch, on a copy: maps merge, lists with a merge key merge by it, other lists are replaced.
 * `$patch`, `$setElementOrder/…`, `$deleteFromPrimitiveList/…` and `$retainKeys` mean what they mean upstream.
 * What the schema does not know merges like a JSON merge patch. Throws PatchError.
 */
export function applyStrategicMergePatch(target: unknown, patch: unknown, typeName: string): unknown {
  if (!isRecord(patch)) throw new PatchError("malformed", "Cannot read the strategic merge patch: it is not an object");
  checkDepth(patch);
  return mergeMap(isRecord(target) ? cloneJson(target) : {}, cloneJson(patch), { ref: typeName }) ?? {};
}

/** Merges a patch into a map that may be changed; undefined: the patch deletes the map. */
function mergeMap(original: Fields, patch: Fields, schema: FieldSchema | undefined): Fields | undefined {
  const directive = getField(patch, PATCH);
  delete patch[PATCH];
  if (directive === "replace") return withoutDirectives(patch);
  if (directive === "delete") return undefined;
  if (directive !== undefined && directive !== "merge")
    throw new PatchError("malformed", `Unknown $patch directive ${JSON.stringify(directive)}`);
  retainKeys(original, patch);
  const orders = takePrefixed(patch, SET_ORDER);
  const removals = takePrefixed(patch, DELETE_FROM_LIST);
  for (const [name, value] of Object.entries(patch)) mergeField(original, name, value, memberSchema(schema, name), orders.get(name));
  for (const [name, order] of orders) {
    if (!Object.hasOwn(patch, name)) reorderField(original, name, order, memberSchema(schema, name));
  }
  for (const [name, removed] of removals) removeFromList(original, name, removed);
  return original;
}

function mergeField(original: Fields, name: string, value: unknown, schema: FieldSchema | undefined, order: unknown[] | undefined): void {
  const current = getField(original, name);
  if (value === null) delete original[name];
  else if (isRecord(value)) {
    const replaces = strategies(schema).includes("replace");
    const merged = replaces ? withoutDirectives(value) : mergeMap(isRecord(current) ? current : {}, value, schema);
    if (merged === undefined) delete original[name];
    else setField(original, name, merged);
  } else if (Array.isArray(value) && mergesList(schema)) {
    const list = Array.isArray(current) ? current : [];
    const mergeKey = schema?.patchMergeKey;
    if (order !== undefined) checkOrder(value, order, mergeKey);
    const merged = mergeList(list, value, schema);
    setField(original, name, order === undefined ? merged : inOrder(merged, order, list, mergeKey));
  } else setField(original, name, value);
}

function mergeList(original: unknown[], patch: unknown[], schema: FieldSchema | undefined): unknown[] {
  const mergeKey = schema?.patchMergeKey;
  if (mergeKey === undefined) return inOrder(unique([...original, ...patch]), patch, original, undefined);
  const items = patch.map((item) => keyedItem(item, mergeKey));
  const special = items.filter((item) => Object.hasOwn(item, PATCH));
  const ordinary = items.filter((item) => !Object.hasOwn(item, PATCH));
  if (special.some((item) => item[PATCH] === "replace")) return ordinary.map(withoutDirectives);
  let live = [...original];
  for (const item of special) {
    if (item[PATCH] !== "delete") throw new PatchError("malformed", `Unknown $patch directive ${JSON.stringify(item[PATCH])} in a list`);
    live = live.filter((each) => !isSame(each, item, mergeKey));
  }
  const merged = [...live];
  for (const item of ordinary) {
    const at = merged.findIndex((each) => isSame(each, item, mergeKey));
    const found = merged[at];
    const result = mergeMap(isRecord(found) ? found : {}, item, schema?.list);
    if (at >= 0) merged[at] = result;
    else merged.push(result);
  }
  return inOrder(merged, ordinary, live, mergeKey);
}

function keyedItem(item: unknown, mergeKey: string): Fields {
  if (!isRecord(item))
    throw new PatchError("malformed", `A list that is merged by "${mergeKey}" has an item that is not an object: ${JSON.stringify(item)}`);
  const hasKey = Object.hasOwn(item, mergeKey) || item[PATCH] === "replace";
  if (!hasKey) throw new PatchError("malformed", `map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`);
  return item;
}

function removeFromList(original: Fields, name: string, removed: readonly unknown[]): void {
  const list = getField(original, name);
  if (!Array.isArray(list)) return;
  const left = list.filter((item) => !removed.some((each) => equalJson(each, item)));
  setField(original, name, left);
}

/** Only the order was patched. */
function reorderField(original: Fields, name: string, order: unknown[], schema: FieldSchema | undefined): void {
  const list = getField(original, name);
  if (Array.isArray(list) && mergesList(schema)) setField(original, name, inOrder(list, order, list, schema?.patchMergeKey));
}

/** Items named by `order` come in that order; the others keep, as well as that allows, the places they have in `live`. */
function inOrder(items: readonly unknown[], order: readonly unknown[], live: readonly unknown[], mergeKey: string | undefined): unknown[] {
  const place = (list: readonly unknown[], item: unknown): number => list.findIndex((each) => isSame(each, item, mergeKey));
  const ordered = items.filter((item) => place(order, item) >= 0).sort((left, right) => place(order, left) - place(order, right));
  const others = items.filter((item) => place(order, item) < 0).sort((left, right) => place(live, left) - place(live, right));
  const result: unknown[] = [];
  for (const item of ordered) {
    const limit = place(live, item);
    while (others.length > 0 && limit >= 0) {
      const at = place(live, others[0]);
      if (at < 0 || at > limit) break;
      result.push(others.shift());
    }
    result.push(item);
  }
  return [...result, ...others];
}

/** A patched list must follow its own order; an empty order says nothing. */
function checkOrder(patch: readonly unknown[], order: readonly unknown[], mergeKey: string | undefined): void {
  if (order.length === 0) return;
  let next = 0;
  for (const item of patch) {
    if (isRecord(item) && Object.hasOwn(item, PATCH)) continue;
    const at = order.findIndex((each, index) => index >= next && isSame(each, item, mergeKey));
    if (at < 0) {
      throw new PatchError(
        "malformed",
        `The list in the patch does not match its $setElementOrder: ${JSON.stringify(item)} is not there, or in another place`,
      );
    }
    next = at + 1;
  }
}

function retainKeys(original: Fields, patch: Fields): void {
  if (!Object.hasOwn(patch, RETAIN_KEYS)) return;
  const keep: unknown = patch[RETAIN_KEYS];
  delete patch[RETAIN_KEYS];
  if (!Array.isArray(keep)) throw new PatchError("malformed", "invalid patch format of retainKeys: it is not a list");
  for (const [name, value] of Object.entries(patch)) {
    const isDirective = name.startsWith(SET_ORDER) || name.startsWith(DELETE_FROM_LIST);
    if (value !== null && !isDirective && !keep.includes(name))
      throw new PatchError("malformed", `invalid patch format of retainKeys: "${name}" is patched but not in the list`);
  }
  for (const name of Object.keys(original)) if (!keep.includes(name)) delete original[name];
}

/** Takes the directives with this prefix out of a patch: the field's name, and the list. */
function takePrefixed(patch: Fields, prefix: string): Map<string, unknown[]> {
  const found = new Map<string, unknown[]>();
  for (const [name, value] of Object.entries(patch)) {
    if (!name.startsWith(prefix)) continue;
    delete patch[name];
    if (!Array.isArray(value)) throw new PatchError("malformed", `The patch's "${name}" is not a list`);
    found.set(name.slice(prefix.length), value);
  }
  return found;
}

/** What replaces a map comes without the words of the patch language, and without nulls. */
function withoutDirectives(patch: Fields): Fields {
  return mergeMap({}, patch, undefined) ?? {};
}

function memberSchema(schema: FieldSchema | undefined, name: string): FieldSchema | undefined {
  if (schema?.ref !== undefined) return fieldSchema(schema.ref, name);
  return schema?.map;
}

function strategies(schema: FieldSchema | undefined): string[] {
  return schema?.patchStrategy?.split(",") ?? [];
}

function mergesList(schema: FieldSchema | undefined): boolean {
  return strategies(schema).includes("merge");
}

function isSame(left: unknown, right: unknown, mergeKey: string | undefined): boolean {
  if (mergeKey === undefined) return equalJson(left, right);
  const [one, other] = [left, right].map((item) => (isRecord(item) ? getField(item, mergeKey) : item));
  return one !== undefined && JSON.stringify(one) === JSON.stringify(other);
}

function unique(items: readonly unknown[]): unknown[] {
  return items.filter((item, index) => items.findIndex((each) => equalJson(each, item)) === index);
}
