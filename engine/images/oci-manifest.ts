import { EngineError } from "../errors.ts";

/** A reference to a blob, as in OCI's image specification. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly platform: Platform | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string;
}

/** What a manifest says: an image, or a list of images for several platforms. Docker's kinds are the same in all that counts. */
export type Manifest =
  | { readonly kind: "image"; readonly config: Descriptor; readonly layers: readonly Descriptor[] }
  | { readonly kind: "index"; readonly manifests: readonly Descriptor[] };

const digestPattern = /^sha256:[0-9a-f]{64}$/;

/** The platform of this machine, in Go's words. */
export function machinePlatform(arch: string = process.arch): Platform {
  const names: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", ppc64: "ppc64le" };
  return { os: "linux", architecture: names[arch] ?? arch, variant: "" };
}

/** Reads a manifest. Throws IMAGE_INVALID, beginning with `what`. */
export function parseManifest(bytes: Uint8Array, what: string): Manifest {
  const invalid = (problem: string): EngineError => new EngineError("IMAGE_INVALID", `${what} is invalid: ${problem}`);
  const whole = asObject(parseJson(bytes, invalid), "it", invalid);
  if (whole["schemaVersion"] === 1) throw invalid("it is of schema version 1, which registries have given up; push the image anew");
  if (Array.isArray(whole["manifests"])) {
    return { kind: "index", manifests: whole["manifests"].map((item: unknown) => parseDescriptor(item, "manifests", invalid)) };
  }
  if (!Array.isArray(whole["layers"])) throw invalid("it has neither layers nor manifests");
  const config = parseDescriptor(whole["config"], "config", invalid);
  if (!/image\.config|container\.image|docker\.container/.test(config.mediaType))
    throw invalid(`it is no container image but "${config.mediaType}"`);
  return { kind: "image", config, layers: whole["layers"].map((item: unknown) => parseDescriptor(item, "layers", invalid)) };
}

/** The manifest for a platform; undefined where the list has none. One that does not say its platform fits any. */
export function choosePlatform(manifests: readonly Descriptor[], wanted: Platform): Descriptor | undefined {
  return manifests.find((manifest) => fitsPlatform(manifest, wanted));
}

/** Whether what a descriptor points to runs on a platform, as far as it says. */
export function fitsPlatform({ platform }: Descriptor, wanted: Platform): boolean {
  if (platform === undefined) return true;
  if (platform.os !== wanted.os || platform.architecture !== wanted.architecture) return false;
  return platform.variant === "" || wanted.architecture !== "arm64" || platform.variant === "v8";
}

type Invalid = (problem: string) => EngineError;

function parseDescriptor(value: unknown, path: string, invalid: Invalid): Descriptor {
  const { digest, size, mediaType, platform, annotations } = asObject(value, path, invalid);
  if (typeof digest !== "string" || !digestPattern.test(digest)) throw invalid(`${path} has a digest that is not of the kind sha256:...`);
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) throw invalid(`${path} has no size`);
  return {
    digest,
    sizeBytes: size,
    mediaType: typeof mediaType === "string" ? mediaType : "",
    platform: platform === undefined ? undefined : parsePlatform(asObject(platform, `${path}.platform`, invalid)),
    annotations: stringsOf(annotations),
  };
}

function parsePlatform({ os, architecture, variant }: Record<string, unknown>): Platform {
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  return { os: text(os), architecture: text(architecture), variant: text(variant) };
}

function stringsOf(value: unknown): Record<string, string> {
  const entries = typeof value === "object" && value !== null ? Object.entries(value) : [];
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}

function parseJson(bytes: Uint8Array, invalid: Invalid): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
  } catch {
    throw invalid("it is not JSON");
  }
}

function asObject(value: unknown, path: string, invalid: Invalid): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(`${path} is not an object`);
  return value as Record<string, unknown>; // just checked
}
