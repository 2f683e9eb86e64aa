import { spawn } from "node:child_process";
import { mkdir, open } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { EngineError } from "../errors.ts";
import type { LayerLimits } from "./layer-writer.ts";

/** What the unpacking process says in the end. */
export type UnpackResult =
  | { readonly kind: "done"; readonly blobDigest: string; readonly diffId: string; readonly sizeBytes: number }
  | { readonly kind: "invalid"; readonly message: string; readonly path?: string }
  | { readonly kind: "failed"; readonly message: string };

/** Far beyond any real layer, and an end for one that never ends. */
const defaultLimits: LayerLimits = { entries: 2_000_000, bytes: 128 * 1024 ** 3 };
const OUTPUT_LIMIT = 64 * 1024;

/**
 * Unpacks a tar archive (plain, gzip, zstd) into `folder`, which it makes, in a process whose root that folder is.
 * Gives the digests of what was read and unpacked; the caller compares. `what` names it in errors: IMAGE_INVALID for an archive
 * that is broken or tries to write outside, IMAGE_PULL_FAILED where the machine could not write it.
 */
export async function unpack(
  archive: string,
  options: { folder: string; what: string; signal: AbortSignal; limits?: LayerLimits },
): Promise<{ blobDigest: string; diffId: string; sizeBytes: number }> {
  const { folder, what, signal, limits = defaultLimits } = options;
  await mkdir(folder, { mode: 0o755 });
  const { stdout, stderr } = await runUnpacker(archive, [folder, JSON.stringify(limits)], signal);
  const result = parseResult(stdout);
  switch (result?.kind) {
    case "done":
      return result;
    case "invalid":
      throw new EngineError(
        "IMAGE_INVALID",
        `Cannot unpack ${what}: ${result.path === undefined ? "" : `entry "${result.path}": `}${result.message}`,
      );
    case "failed":
      throw new EngineError("IMAGE_PULL_FAILED", `Cannot unpack ${what}: ${result.message}`);
    case undefined:
      throw new Error(`Unpacking ${what} ended without a result: ${stderr.trim().slice(-1000)}`);
  }
}

async function runUnpacker(archive: string, args: readonly string[], signal: AbortSignal): Promise<{ stdout: string; stderr: string }> {
  signal.throwIfAborted();
  await using file = await open(archive, "r");
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const main = fileURLToPath(new URL("./unpack-main.ts", import.meta.url));
  // It writes only where nothing half-made counts: no need to ask it to stop, or to let it outlive us.
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", process.execPath, main, ...args], {
    stdio: [file.fd, "pipe", "pipe"],
    signal,
    killSignal: "SIGKILL",
    env: {},
  });
  let stdout = "";
  let stderr = "";
  child.once("error", reject);
  child.once("close", () => resolve());
  child.stdout?.on("data", (chunk: Buffer) => (stdout = (stdout + chunk.toString()).slice(-OUTPUT_LIMIT)));
  child.stderr?.on("data", (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-OUTPUT_LIMIT)));
  try {
    await promise;
  } catch (cause) {
    signal.throwIfAborted();
    throw cause;
  } finally {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined)
      await new Promise((done) => child.once("close", done));
  }
  return { stdout, stderr };
}

function parseResult(stdout: string): UnpackResult | undefined {
  return stdout === "" ? undefined : (JSON.parse(stdout) as UnpackResult); // written by unpack-main.ts
}
