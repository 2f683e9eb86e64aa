import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { CommandError, isErrno, run } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import type { BuiltInReference } from "./reference.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const builder = join(root, "companions/image/main.ts");

/** The companion that an image name means: `ambassador` of `peapod.local/ambassador`. */
function companionOf({ name }: BuiltInReference): string {
  return name.slice(name.indexOf("/") + 1);
}

/**
 * The digest (`sha256:...`) of what a companion's image would be made of: another one means that the image must be made anew.
 * It looks at names, sizes and times of the sources. Throws IMAGE_NOT_FOUND where there is no such companion.
 */
export async function companionFingerprint(reference: BuiltInReference): Promise<string> {
  const companion = companionOf(reference);
  const known = await foldersWithProgram();
  if (!known.includes(companion)) {
    throw new EngineError(
      "IMAGE_NOT_FOUND",
      `There is no image "${reference.name}": peapod has the companions ${known.map((name) => `peapod.local/${name}`).join(", ")}`,
    );
  }
  const hash = createHash("sha256");
  hash.update(`${process.version} ${process.arch}\n`);
  for (const folder of [`companions/${companion}`, "companions/image", "kit", "package-lock.json"]) await addSources(hash, folder);
  return `sha256:${hash.digest("hex")}`;
}

/** Makes a companion's image as an OCI layout at `folder`, which must not be there. Throws IMAGE_PULL_FAILED with what the builder says. */
export async function makeCompanionImage(
  reference: BuiltInReference,
  options: {
    readonly folder: string;
    readonly imageName: string;
    readonly onStep: (message: string) => void;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { folder, imageName, onStep, signal } = options;
  const args = ["--pdeathsig", "KILL", "--", process.execPath, builder, companionOf(reference), "--layout", folder, "--name", imageName];
  try {
    await run("setpriv", args, { signal, onStderr: (text) => onStep(text.trim().split("\n").at(-1) ?? "") });
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause;
    const reason = cause.stderr.trim().split("\n").slice(-4).join("; ");
    throw new EngineError("IMAGE_PULL_FAILED", `Cannot make "${reference.name}": ${reason}`); // no cause: it would only repeat the reason
  }
}

async function foldersWithProgram(): Promise<string[]> {
  const folders = (await readdir(join(root, "companions"))).filter((name) => name !== "image").toSorted();
  const there = await Promise.all(
    folders.map(async (name) => ((await statIfThere(join(root, "companions", name, "main.ts"))) ? [name] : [])),
  );
  return there.flat();
}

async function addSources(hash: { update(text: string): unknown }, path: string): Promise<void> {
  const entries = await readdirIfFolder(join(root, path));
  if (entries === undefined) {
    const facts = await stat(join(root, path));
    hash.update(`${path} ${facts.size} ${facts.mtimeMs}\n`);
    return;
  }
  for (const name of entries.toSorted()) {
    if (name !== "node_modules" && !/\.(?:test|fixture)\.ts$/.test(name)) await addSources(hash, join(path, name));
  }
}

async function readdirIfFolder(path: string): Promise<string[] | undefined> {
  try {
    return await readdir(path);
  } catch (cause) {
    if (isErrno(cause, "ENOTDIR")) return undefined;
    throw cause;
  }
}

async function statIfThere(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ENOTDIR")) return false;
    throw cause;
  }
}
