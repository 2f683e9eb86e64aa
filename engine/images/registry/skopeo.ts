import { access } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { CommandError, isErrno, run } from "@peapod/kit";
import { EngineError } from "../../errors.ts";

const INSPECT_TIMEOUT_MS = 60_000;
const MANIFEST_LIMIT_BYTES = 8 * 1024 * 1024;

export interface SkopeoOptions {
  /** The image for a person, in errors. */
  readonly what: string;
  /** Whether plain HTTP, and a certificate that nobody vouches for, will do. */
  readonly insecure: boolean;
  /** A file of logins in place of those that skopeo looks for itself. */
  readonly authFile: string | undefined;
  readonly signal: AbortSignal;
}

/** The bytes of the manifest that a source (`NAME:TAG`, `NAME@DIGEST`) names in its registry. Throws as `explainSkopeo` says. */
export function fetchManifest(source: string, options: SkopeoOptions): Promise<Buffer> {
  return inspect(["--raw"], source, options);
}

/** The bytes of the configuration of the image that a source names. */
export function fetchConfig(source: string, options: SkopeoOptions): Promise<Buffer> {
  return inspect(["--raw", "--config"], source, options);
}

async function inspect(what: readonly string[], source: string, options: SkopeoOptions): Promise<Buffer> {
  const args = ["inspect", ...what, ...tlsFlag("--tls-verify", options), ...authFlag("--authfile", options), `docker://${source}`];
  const { stdout } = await skopeo(args, { ...options, timeoutMs: INSPECT_TIMEOUT_MS });
  return Buffer.from(stdout);
}

/** Copies an image's blobs into an OCI layout. A blob whose file is there already, whatever it holds, is left alone. */
export async function copyToLayout(source: string, layoutDir: string, options: SkopeoOptions): Promise<void> {
  const flags = [...tlsFlag("--src-tls-verify", options), ...authFlag("--src-authfile", options)];
  // Signatures have been checked by skopeo's policy by then; the OCI layout cannot hold them.
  await skopeo(
    [
      "copy",
      "--quiet",
      "--remove-signatures",
      "--dest-oci-accept-uncompressed-layers",
      ...flags,
      `docker://${source}`,
      `oci:${layoutDir}:image`,
    ],
    options,
  );
}

async function skopeo(args: readonly string[], options: SkopeoOptions & { timeoutMs?: number }): Promise<{ stdout: string }> {
  const { what, signal, timeoutMs } = options;
  const policy = (await hasPolicy()) ? [] : ["--insecure-policy"];
  try {
    return await run("setpriv", ["--pdeathsig", "KILL", "--", "skopeo", ...policy, ...args], {
      signal,
      limitBytes: MANIFEST_LIMIT_BYTES,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  } catch (cause) {
    signal.throwIfAborted();
    throw cause instanceof CommandError ? explainSkopeo(cause, what) : cause;
  }
}

/** Debian's skopeo refuses to do anything without a policy file, which Docker's users have never heard of. */
async function hasPolicy(): Promise<boolean> {
  for (const path of [join(homedir(), ".config/containers/policy.json"), "/etc/containers/policy.json"]) {
    try {
      await access(path);
      return true;
    } catch (cause) {
      if (!isErrno(cause, "ENOENT", "ENOTDIR")) throw cause;
    }
  }
  return false;
}

/** What skopeo's failure means: IMAGE_NOT_FOUND, MACHINE_LACKS, or IMAGE_PULL_FAILED with the essential of what it said. */
export function explainSkopeo(cause: CommandError, what: string): EngineError {
  if (cause.exitCode === 127 || isErrno(cause.cause, "ENOENT")) {
    return new EngineError("MACHINE_LACKS", `Cannot pull "${what}": skopeo is not installed; install it: apt-get install skopeo`);
  }
  const reason = cause.exitCode === null ? "its registry did not answer in time" : skopeoReason(cause.stderr);
  if (/manifest unknown|name unknown|repository name not known|\bnot found$|status 404|StatusCode: 404/i.test(reason)) {
    return new EngineError("IMAGE_NOT_FOUND", `Image "${what}" is not in its registry: ${reason}`); // no cause: it would only repeat the reason, in skopeo's frames
  }
  const hint = /unauthorized|authentication required|access to the resource is denied|forbidden|401/i.test(reason)
    ? "; log in: docker login, or podman login"
    : "";
  return new EngineError("IMAGE_PULL_FAILED", `Cannot pull "${what}": ${reason}${hint}`);
}

/** One line without skopeo's frames: `time=... level=fatal msg="Error parsing image name ...: pinging container registry ...: REASON"`. */
export function skopeoReason(stderr: string): string {
  const fatal = /level=fatal msg=("(?:[^"\\]|\\.)*"|.*)/.exec(stderr)?.[1];
  const said = fatal?.startsWith('"') === true ? unquote(fatal) : (fatal ?? stderr.trim().split("\n").at(-1) ?? "");
  return said
    .replaceAll(/\s+/g, " ")
    .replace(
      /^(?:Error )?(?:parsing image name|determining manifest[^:]*|initializing source|reading manifest|copying system image[^:]*) ?"?docker:\/\/[^ "]+"?: /i,
      "",
    )
    .replace(/^(?:Error )?initializing source docker:\/\/\S+: /i, "")
    .replace(/^reading manifest \S+ in \S+: /, "")
    .replace(/^pinging container registry (\S+): Get "[^"]*": /, "")
    .replace(/^(manifest unknown|name unknown): \1/, "$1")
    .slice(0, 500);
}

function unquote(text: string): string {
  return text.slice(1, -1).replaceAll(/\\(.)/g, (_whole, character: string) => (character === "n" ? " " : character));
}

function tlsFlag(flag: string, { insecure }: SkopeoOptions): string[] {
  return insecure ? [`${flag}=false`] : [];
}

function authFlag(flag: string, { authFile }: SkopeoOptions): string[] {
  return authFile === undefined ? [] : [flag, authFile];
}
