import { createHash } from "node:crypto";
import { EngineError } from "../errors.ts";

/** Kernel: OVL_MAX_STACK. */
const LAYER_LIMIT = 500;

/**
 * The names of an image's layers, unpacked, lowest first: a layer on top of others is another than the same one by itself. These are
 * the ChainIDs of https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid; the lowest layer's is its own digest.
 */
export function chainIds(diffIds: readonly string[]): string[] {
  const ids: string[] = [];
  for (const diffId of diffIds) {
    const below = ids.at(-1);
    ids.push(below === undefined ? diffId : `sha256:${createHash("sha256").update(`${below} ${diffId}`).digest("hex")}`);
  }
  return ids;
}

/** Throws IMAGE_INVALID for more layers than overlayfs takes. */
export function checkLayerCount(count: number, what: string): void {
  if (count > LAYER_LIMIT) throw new EngineError("IMAGE_INVALID", `Image ${what} has ${count} layers; overlayfs takes ${LAYER_LIMIT}`);
}
