import { cloneJson, getField, isRecord, jsonKey, setField } from "../values/json.ts";
import { checkDepth, PatchError } from "./json-patch.ts";
import { type FieldSchema, fieldSchema } from "../fields/schema.ts";

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
  const unknown = special.find((item) => item[PATCH] !== "delete");
  if (unknown !== undefined) throw new PatchError("malformed", `Unknown $patch directive ${JSON.stringify(unknown[PATCH])} in a list`);
  const deleted = new Set(special.map((item) => identity(item, mergeKey)));
  const live = original.filter((item) => !deleted.has(identity(item, mergeKey) ?? NOBODY));
  const merged = [...live];
  const places = placesOf(merged, mergeKey);
  for (const item of ordinary) {
    const id = identity(item, mergeKey) ?? NOBODY;
    const at = places.get(id) ?? merged.length;
    const found = merged[at];
    merged[at] = mergeMap(isRecord(found) ? found : {}, item, schema?.list);
    places.set(id, at);
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
  const gone = new Set(removed.map(jsonKey));
  setField(
    original,
    name,
    list.filter((item) => !gone.has(jsonKey(item))),
  );
}

/** Only the order was patched. */
function reorderField(original: Fields, name: string, order: unknown[], schema: FieldSchema | undefined): void {
  const list = getField(original, name);
  if (Array.isArray(list) && mergesList(schema)) setField(original, name, inOrder(list, order, list, schema?.patchMergeKey));
}

/** Items named by `order` come in that order; the others keep, as well as that allows, the places they have in `live`. */
function inOrder(items: readonly unknown[], order: readonly unknown[], live: readonly unknown[], mergeKey: string | undefined): unknown[] {
  const [orderPlaces, livePlaces] = [placesOf(order, mergeKey), placesOf(live, mergeKey)];
  const placed = items.map((item) => {
    const id = identity(item, mergeKey) ?? NOBODY;
    return { item, order: orderPlaces.get(id) ?? -1, live: livePlaces.get(id) ?? -1 };
  });
  const ordered = placed.filter(({ order: at }) => at >= 0).sort((left, right) => left.order - right.order);
  const others = placed.filter(({ order: at }) => at < 0).sort((left, right) => left.live - right.live);
  const result: unknown[] = [];
  let next = 0;
  for (const { item, live: limit } of ordered) {
    for (let other = others[next]; other !== undefined && other.live >= 0 && other.live <= limit; other = others[next]) {
      result.push(other.item);
      next += 1;
    }
    result.push(item);
  }
  return [...result, ...others.slice(next).map(({ item }) => item)];
}

/** A patched list must follow its own order; an empty order says nothing. */
function checkOrder(patch: readonly unknown[], order: readonly unknown[], mergeKey: string | undefined): void {
  if (order.length === 0) return;
  const ids = order.map((item) => identity(item, mergeKey));
  let next = 0;
  for (const item of patch) {
    if (isRecord(item) && Object.hasOwn(item, PATCH)) continue;
    const id = identity(item, mergeKey) ?? NOBODY;
    while (next < ids.length && ids[next] !== id) next += 1; // those passed over are behind for every later item, too
    if (next === ids.length) {
      throw new PatchError(
        "malformed",
        `The list in the patch does not match its $setElementOrder: ${JSON.stringify(item)} is not there, or in another place`,
      );
    }
    next += 1;
  }
}

function retainKeys(original: Fields, patch: Fields): void {
  if (!Object.hasOwn(patch, RETAIN_KEYS)) return;
  const keep: unknown = patch[RETAIN_KEYS];
  delete patch[RETAIN_KEYS];
  if (!Array.isArray(keep)) throw new PatchError("malformed", "invalid patch format of retainKeys: it is not a list");
  const kept = new Set<unknown>(keep);
  for (const [name, value] of Object.entries(patch)) {
    const isDirective = name.startsWith(SET_ORDER) || name.startsWith(DELETE_FROM_LIST);
    if (value !== null && !isDirective && !kept.has(name))
      throw new PatchError("malformed", `invalid patch format of retainKeys: "${name}" is patched but not in the list`);
  }
  for (const name of Object.keys(original)) if (!kept.has(name)) delete original[name];
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

/** What makes an item of a list itself: its merge key's value, or without a merge key all of it; undefined where it lacks the key. */
function identity(item: unknown, mergeKey: string | undefined): string | undefined {
  if (mergeKey === undefined) return jsonKey(item);
  const key = isRecord(item) ? getField(item, mergeKey) : item;
  return key === undefined ? undefined : jsonKey(key);
}

/** No item's identity: it is no JSON. */
const NOBODY = "";

/** Where the first item of each identity stands. */
function placesOf(list: readonly unknown[], mergeKey: string | undefined): Map<string, number> {
  const places = new Map<string, number>();
  for (const [index, item] of list.entries()) {
    const id = identity(item, mergeKey);
    if (id !== undefined && !places.has(id)) places.set(id, index);
  }
  return places;
}

function unique(items: readonly unknown[]): unknown[] {
  const seen = new Set<string>();
  return items.filter((item) => {
    const id = jsonKey(item);
    return !seen.has(id) && seen.add(id);
  });
}
