/** RFC 7386: the target with the patch merged in; null removes. Leaves both as they are. */
export function applyMergePatch(_target: unknown, _patch: unknown): unknown {
  throw new Error("Not written yet");
}
