/** Kubernetes' strategic merge patch by the schema's merge keys, on a copy. Throws PatchError. */
export function applyStrategicMergePatch(_target: unknown, _patch: unknown, _typeName: string): unknown {
  throw new Error("Not written yet");
}
