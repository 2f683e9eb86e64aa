import { EngineError } from "../errors.ts";
import type { ImageConfig } from "./images.ts";

/** What an OCI image configuration says that matters here. */
export interface ParsedConfig {
  readonly config: ImageConfig;
  /** The digests of the uncompressed layers, lowest first. */
  readonly diffIds: readonly string[];
  readonly os: string;
  readonly architecture: string;
}

/** Far more than any image has: each is a folder to look for at every start. */
const VOLUMES_LIMIT = 256;
const digestPattern = /^sha256:[0-9a-f]{64}$/;

/** Reads an OCI image configuration (application/vnd.oci.image.config.v1+json; Docker's is the same). Throws IMAGE_INVALID. */
export function parseImageConfig(bytes: Uint8Array): ParsedConfig {
  const whole = asObject(parseJson(bytes), "the configuration");
  const inner = whole["config"] === undefined || whole["config"] === null ? {} : asObject(whole["config"], "config");
  const rootfs = asObject(whole["rootfs"], "rootfs");
  const diffIds = asStrings(rootfs["diff_ids"], "rootfs.diff_ids");
  const wrong = diffIds.find((diffId) => !digestPattern.test(diffId));
  if (wrong !== undefined) throw invalid(`rootfs.diff_ids has "${wrong}", which is no sha256 digest`);
  return {
    config: {
      entrypoint: asStrings(inner["Entrypoint"], "config.Entrypoint"),
      cmd: asStrings(inner["Cmd"], "config.Cmd"),
      env: asStrings(inner["Env"], "config.Env"),
      user: asString(inner["User"], "config.User"),
      workingDir: asString(inner["WorkingDir"], "config.WorkingDir"),
      stopSignal: asString(inner["StopSignal"], "config.StopSignal"),
      volumes: asVolumes(inner["Volumes"]),
    },
    diffIds,
    os: asString(whole["os"], "os"),
    architecture: asString(whole["architecture"], "architecture"),
  };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
  } catch (cause) {
    throw new EngineError("IMAGE_INVALID", "The image's configuration is not JSON", { cause });
  }
}

function asObject(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(`${path} is not an object`);
  return value as Record<string, unknown>; // just checked
}

function asString(value: unknown, path: string): string {
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw invalid(`${path} is not a string`);
  return value;
}

function asStrings(value: unknown, path: string): string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid(`${path} is not a list`);
  return value.map((item: unknown) => asString(item, `${path}[]`));
}

/** A set of paths, which Go writes as an object with empty values. */
function asVolumes(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  const paths = Object.keys(asObject(value, "config.Volumes"));
  if (paths.length > VOLUMES_LIMIT) throw invalid(`config.Volumes has ${paths.length} paths, more than ${VOLUMES_LIMIT}`);
  return paths;
}

function invalid(problem: string): EngineError {
  return new EngineError("IMAGE_INVALID", `The image's configuration is invalid: ${problem}`);
}
