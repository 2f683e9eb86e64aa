import { cloneJson, getField, isRecord, setField } from "../values/json.ts";
import { checkDepth } from "./json-patch.ts";

/** RFC 7386: the target with the patch merged in; null removes. Leaves both as they are. Throws PatchError where it nests too deeply. */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  checkDepth(patch);
  return merge(cloneJson(target), patch);
}

/** Merges into a target that may be changed. */
function merge(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return cloneJson(patch);
  const result = isRecord(target) ? target : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else setField(result, name, merge(getField(result, name), value));
  }
  return result;
}
