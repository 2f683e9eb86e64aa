import { isUtf8 } from "node:buffer";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { EngineError } from "../../errors.ts";
import { defaultLimits, type LayerLimits } from "./layer-limits.ts";
import type { LayersBelow } from "../layer-mount.ts";
import type { Purpose } from "./layer-writer.ts";
import { explainOverlay } from "../overlay-failure.ts";

/** What the unpacking process is asked for. */
export interface UnpackOrder {
  /** The descriptor of the archive. */
  readonly archive: number;
  /** An empty folder. */
  readonly folder: string;
  readonly purpose: Purpose;
  readonly limits: LayerLimits;
  /** What it is unpacked on top of; undefined where there is nothing. */
  readonly below: LayersBelow | undefined;
}

/** What the unpacking process says to an order. Of `path`, each character is a byte. */
export type UnpackResult =
  | { readonly kind: "done"; readonly blobDigest: string; readonly diffId: string; readonly sizeBytes: number }
  | { readonly kind: "invalid"; readonly message: string; readonly path?: string }
  | { readonly kind: "failed"; readonly message: string; readonly code: string };

/** An archive, unpacked: the digests of what was read and of what that was, decompressed. */
export interface Unpacked {
  readonly blobDigest: string;
  readonly diffId: string;
  readonly sizeBytes: number;
}

interface RunningUnpacker {
  readonly process: ChildProcess;
  readonly answers: AsyncIterator<string>;
  readonly ended: Promise<unknown>;
}

const STDERR_LIMIT = 64 * 1024;
const FIRST_ARCHIVE_FD = 3;

/**
 * A process that unpacks tar archives (plain, gzip, zstd), one after the other; its root is the folder that it unpacks into. It starts
 * with the first, and ends when this is disposed, when `signal` is aborted, and when this process ends. Its mounts are its own, and end with it.
 */
export class Unpacker implements AsyncDisposable {
  readonly #archives: readonly number[];
  readonly #signal: AbortSignal;
  #child: RunningUnpacker | undefined;
  #stderr = "";

  /** `archives` are descriptors of regular files, which stay open as long as this. */
  constructor(archives: readonly number[], signal: AbortSignal) {
    this.#archives = archives;
    this.#signal = signal;
  }

  /**
   * Unpacks the archive at an index into `folder`, which it makes. The caller compares the digests. `what` names it in errors:
   * IMAGE_INVALID for an archive that is broken, tries to write outside, or costs too much, IMAGE_PULL_FAILED or MACHINE_LACKS where the
   * machine could not write it.
   */
  async unpack(
    index: number,
    options: { folder: string; what: string; purpose: Purpose; below?: LayersBelow; limits?: LayerLimits },
  ): Promise<Unpacked> {
    const { folder, what, purpose, below, limits = defaultLimits } = options;
    this.#signal.throwIfAborted();
    await mkdir(folder, { mode: 0o755 });
    const order: UnpackOrder = { archive: FIRST_ARCHIVE_FD + index, folder, purpose, limits, below };
    const result = await this.#ask(order, what);
    switch (result.kind) {
      case "done":
        return result;
      case "invalid":
        throw new EngineError(
          "IMAGE_INVALID",
          `Cannot unpack ${what}: ${result.path === undefined ? "" : `entry "${readable(result.path)}": `}${readable(result.message)}`,
        );
      case "failed":
        throw (
          explainOverlay(result.code, folder) ?? new EngineError("IMAGE_PULL_FAILED", `Cannot unpack ${what}: ${readable(result.message)}`)
        );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child?.process.stdin?.end();
    await this.#child?.ended;
  }

  async #ask(order: UnpackOrder, what: string): Promise<UnpackResult> {
    const { process: child, answers, ended } = (this.#child ??= this.#start());
    child.stdin?.write(`${JSON.stringify(order)}\n`);
    const { value, done } = await answers.next();
    if (done !== true) return JSON.parse(value) as UnpackResult; // written by unpack-main.ts
    await ended;
    this.#signal.throwIfAborted();
    throw new EngineError("IMAGE_PULL_FAILED", `Cannot unpack ${what}: the process ended: ${this.#stderr.trim().slice(-1000)}`);
  }

  #start(): RunningUnpacker {
    const main = fileURLToPath(new URL("./unpack-main.ts", import.meta.url));
    // It writes only where nothing half-made counts: no need to ask it to stop, or to let it outlive us.
    const alone = ["--pdeathsig", "KILL", "--", "unshare", "--mount", "--propagation", "slave", "--"];
    const child = spawn("setpriv", [...alone, process.execPath, main], {
      stdio: ["pipe", "pipe", "pipe", ...this.#archives],
      signal: this.#signal,
      killSignal: "SIGKILL",
      env: {},
    });
    child.on("error", (cause) => (this.#stderr ||= cause.message)); // that it cannot be started, or that it was killed for the signal
    child.stdin?.on("error", () => {}); // it ended: its end says why
    child.stderr?.on("data", (chunk: Buffer) => (this.#stderr = (this.#stderr + chunk.toString()).slice(-STDERR_LIMIT)));
    const ended = new Promise((resolve) => child.once("close", resolve));
    if (child.stdout === null) throw new Error("A pipe that was asked for is not there");
    return { process: child, answers: createInterface({ input: child.stdout })[Symbol.asyncIterator](), ended };
  }
}

/** Bytes as a person may read them on a terminal, which they do nothing to. */
function readable(bytes: string): string {
  const buffer = Buffer.from(bytes, "latin1");
  const text = isUtf8(buffer) ? buffer.toString() : bytes.replaceAll(/[\u0080-\u00ff]/g, escaped);
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, escaped);
}

function escaped(character: string): string {
  return `\\x${(character.codePointAt(0) ?? 0).toString(16).padStart(2, "0")}`;
}
