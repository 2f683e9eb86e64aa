import { expandVariables, type VolumeMount } from "@peapod/api";
import { EngineError } from "../../errors.ts";

/**
 * The folder of its volume that a mount shows; "" for all of it. Throws CONTAINER_CONFIG_INVALID, in upstream's words, where `subPathExpr`
 * names a variable that the container has not: it would show the folder of somebody else.
 */
export function subPathOf({ subPath = "", subPathExpr = "" }: VolumeMount, variables: Readonly<Record<string, string>>): string {
  if (subPathExpr === "") return subPath;
  for (const [whole, name] of subPathExpr.matchAll(/\$\$|\$\(([^)]*)\)/g)) {
    if (whole !== "$$" && name !== undefined && !Object.hasOwn(variables, name))
      throw new EngineError("CONTAINER_CONFIG_INVALID", `missing value for "${name}"`);
  }
  return expandVariables(subPathExpr, variables);
}
