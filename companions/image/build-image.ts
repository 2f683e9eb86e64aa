import { chmod, copyFile, mkdir, mkdtemp, realpath, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { run } from "@peapod/kit";
import { bundle } from "./bundle.ts";
import type { Companion } from "./companions.ts";
import { findNodeFiles, findProgramFiles, type NodeFile } from "./node-files.ts";
import { packFolder, writeLayout } from "./oci-layout.ts";

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
    await writeProgramLayer(companion, join(work, "program"), signal);
    onStep("Collecting Node.js and its libraries");
    await writeNodeLayer(join(work, "node"), signal);
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

async function writeProgramLayer({ name, main, programs }: Companion, root: string, signal: AbortSignal): Promise<void> {
  const program = join(root, "app", `${name}.mjs`);
  await mkdir(dirname(program), { recursive: true });
  await bundle(main, program);
  await chmod(program, 0o755);
  await mkdir(join(root, "usr/bin"), { recursive: true });
  await copyFiles(await findProgramFiles(programs, signal), root);
  await symlink(`/app/${name}.mjs`, join(root, "usr/bin", name)); // `exec: [ambassador, wait]` in a probe
}

async function writeNodeLayer(root: string, signal: AbortSignal): Promise<void> {
  await mkdir(join(root, "tmp"), { recursive: true });
  await copyFiles(await findNodeFiles(signal), root);
  for (const [path, content] of files) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content, { mode: 0o644 });
  }
  await chmod(join(root, "tmp"), 0o1777);
}

async function copyFiles(found: readonly NodeFile[], root: string): Promise<void> {
  for (const { from, to } of found) {
    await mkdir(dirname(join(root, to)), { recursive: true });
    await copyFile(await realpath(from), join(root, to));
    await chmod(join(root, to), to.endsWith(".crt") || to.endsWith("LICENSE") ? 0o644 : 0o755);
  }
}
