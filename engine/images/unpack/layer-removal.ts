import { lstatSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { bytesOf, type LayerFolder } from "./layer-folders.ts";
import type { LayerBudget } from "./layer-limits.ts";

/** Removes what lies at a path below this process's root, with all in it. Nothing there is fine. Each thing is a step. */
export function removeBelow(path: string, budget: LayerBudget): void {
  budget.step();
  const stat = lstatSync(bytesOf(path), { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isDirectory()) return unlinkSync(bytesOf(path));
  for (const name of readdirSync(bytesOf(path), "latin1")) removeBelow(`${path}/${name}`, budget);
  rmdirSync(bytesOf(path));
}

/** Removes from a folder what is not the layer's own. Once: nothing can come from below after that. */
export function clearFolder(path: string, folder: LayerFolder, budget: LayerBudget): void {
  if (folder.isClear) return;
  folder.isClear = true;
  for (const name of readdirSync(bytesOf(path), "latin1")) {
    const known = folder.children.get(name);
    if (known?.isOwn === true) clearFolder(`${path}/${name}`, known, budget);
    else if (known !== undefined || !folder.children.has(name)) {
      removeBelow(`${path}/${name}`, budget);
      folder.children.delete(name);
    } else budget.step();
  }
}
