/** A patch that cannot be read (`malformed`: answer 400) or does not fit the object (`unfit`: answer 422). */
export class PatchError extends Error {
  override readonly name = "PatchError";
  readonly kind: "malformed" | "unfit";
  constructor(kind: "malformed" | "unfit", message: string) {
    super(message);
    this.kind = kind;
  }
}
/** RFC 6902: applies a list of operations to a copy. Throws PatchError. */
export function applyJsonPatch(_target: unknown, _patch: unknown): unknown {
  throw new Error("Not written yet");
}
