import { ApiError } from "@peapod/client";
import { badRequest } from "@peapod/api";
import type { ContainerReference, NodeServer } from "../../kubelet/node-server.ts";

type Session = Awaited<ReturnType<NodeServer["exec"]>>;

/**
 * A node whose containers log three lines (and one more each 20 ms when followed), and whose `exec` knows four commands: `cat` (echoes
 * standard input until its end), `exit N`, `flood BYTES`, and `sleep`, which ends with its signal.
 */
export class StubNodeServer implements NodeServer {
  readonly logRequests: unknown[] = [];
  /** Sessions that have not ended. */
  running = 0;
  resized: unknown[] = [];

  async *containerLogs(
    container: ContainerReference,
    options: Parameters<NodeServer["containerLogs"]>[1],
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    this.logRequests.push({ container: container.containerName, ...options });
    if (options.previous)
      throw new ApiError(badRequest(`previous terminated container "${container.containerName}" in pod "web" not found`));
    for (let line = 1; line <= 3; line++) yield Buffer.from(`line ${line} of ${container.containerName}\n`);
    for (let line = 4; options.follow && !signal.aborted; line++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      yield Buffer.from(`line ${line} of ${container.containerName}\n`);
    }
  }

  async exec(_container: ContainerReference, options: Parameters<NodeServer["exec"]>[1], signal: AbortSignal): Promise<Session> {
    const [command, argument = "0"] = options.command;
    if (command === "missing") throw new ApiError(badRequest('exec: "missing": executable file not found in $PATH'));
    this.running++;
    const input = new Pipe();
    const ended = Promise.withResolvers<number>();
    void ended.promise.then(() => this.running--);
    signal.addEventListener("abort", () => (input.end(), ended.resolve(137)), { once: true });
    const end = (code: number): void => ended.resolve(code);
    return {
      stdout: command === "cat" ? input.read(() => end(0)) : command === "flood" ? flood(Number(argument), () => end(0)) : nothing(),
      stderr: command === "exit" ? once(Buffer.from("bye\n"), () => end(Number(argument))) : nothing(),
      write: (chunk) => input.write(chunk),
      closeStdin: () => input.end(),
      resize: (size) => void this.resized.push(size),
      exitCode: ended.promise,
    };
  }
}

/** Hands chunks from a writer to a reader, one at a time. */
class Pipe {
  #chunk: { bytes: Uint8Array; taken: () => void } | undefined;
  #isEnded = false;
  #wake: (() => void) | undefined;

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      this.#chunk = { bytes, taken: resolve };
      this.#wake?.();
    });
  }

  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  async *read(onEnd: () => void): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#chunk;
      if (chunk !== undefined) {
        this.#chunk = undefined;
        yield chunk.bytes;
        chunk.taken();
      } else if (this.#isEnded) break;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    onEnd();
  }
}

async function* flood(bytes: number, onEnd: () => void): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < bytes; sent += 65_536) yield Buffer.alloc(Math.min(65_536, bytes - sent), "x");
  onEnd();
}

async function* once(chunk: Uint8Array, onEnd: () => void): AsyncGenerator<Uint8Array> {
  yield chunk;
  onEnd();
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
