import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { run } from "@peapod/kit";

/** A packed layer: uncompressed, so that its digest is its diff id; who pushes it compresses it. */
interface PackedLayer {
  readonly path: string;
  readonly digest: string;
  readonly sizeBytes: number;
}

/** OCI image-spec, config.md: what a container runs with. */
interface ContainerConfig {
  readonly Entrypoint: readonly string[];
  readonly Env: readonly string[];
  readonly User: string;
  readonly WorkingDir: string;
  readonly StopSignal: string;
}

/** Packs a folder so that the same content gives the same bytes: sorted, owned by root, at the beginning of time. */
export async function packFolder(folder: string, path: string, signal: AbortSignal): Promise<PackedLayer> {
  const same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"];
  await run("tar", ["-C", folder, ...same, "-cf", path, "."], { signal });
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash, { signal });
  return { path, digest: `sha256:${hash.digest("hex")}`, sizeBytes: (await stat(path)).size };
}

/** Writes an OCI layout (image-spec, image-layout.md) with one image; moves the layers into it. */
export async function writeLayout(
  folder: string,
  image: { readonly imageName: string; readonly layers: readonly PackedLayer[]; readonly config: ContainerConfig },
): Promise<void> {
  const blobs = join(folder, "blobs/sha256");
  await mkdir(blobs, { recursive: true });
  const put = async (mediaType: string, value: unknown) => {
    const bytes = Buffer.from(JSON.stringify(value));
    const hex = createHash("sha256").update(bytes).digest("hex");
    await writeFile(join(blobs, hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  for (const { path, digest } of image.layers) await rename(path, join(blobs, digest.slice("sha256:".length)));
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const platform = { architecture, os: "linux" };
  const config = await put("application/vnd.oci.image.config.v1+json", {
    ...platform,
    config: image.config,
    rootfs: { type: "layers", diff_ids: image.layers.map(({ digest }) => digest) },
  });
  const manifest = await put("application/vnd.oci.image.manifest.v1+json", {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config,
    layers: image.layers.map(({ digest, sizeBytes }) => ({
      mediaType: "application/vnd.oci.image.layer.v1.tar",
      digest,
      size: sizeBytes,
    })),
  });
  const annotations = {
    "org.opencontainers.image.ref.name": image.imageName.slice(image.imageName.lastIndexOf(":") + 1),
    "io.containerd.image.name": image.imageName,
  };
  const index = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [{ ...manifest, platform, annotations }],
  };
  await writeFile(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await writeFile(join(folder, "index.json"), JSON.stringify(index));
}
