import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { CommandError, isErrno, run } from "@peapod/kit";
import { companions, findCompanion } from "../../companions/companions.ts";
import { sourcesOf } from "../../companions/sources.ts";
import { EngineError } from "../errors.ts";
import type { BuiltInReference } from "./reference.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const builder = join(root, "companions/image/main.ts");

/** The companion that an image name means: `ambassador` of `peapod.local/ambassador`. */
function companionOf({ name }: BuiltInReference): string {
  return name.slice(name.indexOf("/") + 1);
}

/**
 * The digest (`sha256:...`) of what a companion's image is made of: another one means that the image must be made anew. That is whatever its
 * bundles contain, wherever it stands, and what makes them. Throws IMAGE_NOT_FOUND where there is no such companion.
 */
export async function companionFingerprint(reference: BuiltInReference): Promise<string> {
  const companion = findCompanion(companionOf(reference));
  if (companion === undefined) {
    throw new EngineError(
      "IMAGE_NOT_FOUND",
      `There is no image "${reference.name}": peapod has the companions ${companions()
        .map(({ name }) => `peapod.local/${name}`)
        .join(", ")}`,
    );
  }
  const { main, threads, programs } = companion;
  const hash = createHash("sha256").update(`${process.version} ${process.arch}\n`);
  for (const path of programs) hash.update(`${path} ${await factsOf(path)}\n`);
  hash.update(`packages ${await factsOf(join(root, "package-lock.json"))}\n`);
  for (const { path, text } of await sourcesOf([main, ...threads, builder])) hash.update(`${relative(root, path)} ${text.length}\n${text}`);
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

/** Changes with the file. */
async function factsOf(path: string): Promise<string> {
  try {
    const { size, mtimeMs } = await stat(path);
    return `${size} ${mtimeMs}`;
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ENOTDIR")) return "is missing";
    throw cause;
  }
}
