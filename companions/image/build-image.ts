import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { run } from "@peapod/kit";
import type { Companion } from "../companions.ts";
import { copyFiles, type ImageFile } from "./image-file.ts";
import { findNodeFiles } from "./node-files.ts";
import { packFolder, writeLayout } from "./oci-layout.ts";
import { writeProgramLayer } from "./program-layer.ts";

/** Nobody in particular: what the image's programs run as where the pod does not say. The one that distroless images use. */
const USER = 65_532;

const files: readonly (readonly [path: string, content: string])[] = [
  ["etc/passwd", `root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:${USER}:${USER}:nonroot:/tmp:/sbin/nologin\n`],
  ["etc/group", `root:x:0:\nnonroot:x:${USER}:\n`],
  ["etc/nsswitch.conf", "hosts: files dns\n"],
];

export interface BuildOptions {
  /** Carried by the layout: `peapod.local/ambassador:latest`. */
  readonly imageName: string;
  readonly onStep: (message: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Writes a companion's image for this machine's architecture, as an OCI layout or archive: a layer with Node.js that all companions
 * have in common, and one with the companion. The same sources on the same machine give the same digests.
 * Throws a CommandError where a program fails, and what esbuild throws; nothing half-made is left at `path`.
 */
export async function buildImage(
  companion: Companion,
  target: { readonly kind: "layout" | "archive"; readonly path: string },
  options: BuildOptions,
): Promise<void> {
  const { onStep, signal } = options;
  const parent = target.kind === "layout" ? dirname(resolve(target.path)) : tmpdir();
  const work = await mkdtemp(join(parent, ".companion-image-"));
  try {
    onStep(`Bundling ${companion.name}`);
    const nodeFiles = await findNodeFiles(signal);
    await writeProgramLayer(companion, join(work, "program"), { below: nodeFiles, onStep, signal });
    onStep("Collecting Node.js and its libraries");
    await writeNodeLayer(nodeFiles, join(work, "node"));
    onStep("Packing the layers");
    const layers = [];
    for (const name of ["node", "program"]) layers.push(await packFolder(join(work, name), join(work, `${name}.tar`), signal));
    const layout = join(work, "layout");
    await writeLayout(layout, {
      imageName: options.imageName,
      layers,
      config: {
        Entrypoint: [`/usr/bin/${companion.name}`],
        Env: ["PATH=/usr/bin:/usr/sbin"],
        User: `${USER}:${USER}`,
        WorkingDir: "/",
        StopSignal: "SIGTERM",
      },
    });
    if (target.kind === "layout") await rename(layout, target.path);
    else await writeArchive(layout, resolve(target.path), signal);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function writeArchive(layout: string, path: string, signal: AbortSignal): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}`);
  try {
    await run("tar", ["-C", layout, "--sort=name", "-cf", temporary, "oci-layout", "index.json", "blobs"], { signal });
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function writeNodeLayer(nodeFiles: readonly ImageFile[], root: string): Promise<void> {
  await mkdir(join(root, "tmp"), { recursive: true });
  await copyFiles(nodeFiles, root);
  for (const [path, content] of files) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content, { mode: 0o644 });
  }
  await chmod(join(root, "tmp"), 0o1777);
}
