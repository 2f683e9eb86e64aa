import type { IPty } from "@lydell/node-pty";
import { makeRaw } from "../../../linux/libc.ts";
import type { ExecOptions, ExecSession } from "../../runtime.ts";
import type { ExecLaunch } from "./exec-launch.ts";

const END_OF_TRANSMISSION = "\u0004";
const BUFFERED_LIMIT_BYTES = 256 * 1024;

/** Runs an exec on a terminal: the runtime's `exec` on a pseudo-terminal of ours, which it copies to one in the container. */
export async function execWithTerminal(launch: ExecLaunch, { size }: ExecOptions, signal: AbortSignal): Promise<ExecSession> {
  const { spawn } = await import("@lydell/node-pty"); // native code that most engines never need
  signal.throwIfAborted();
  const pty = spawn(launch.program, [...launch.args.slice(0, -1), "--tty", ...launch.args.slice(-1)], {
    name: "xterm",
    cols: size?.columns ?? 80,
    rows: size?.rows ?? 24,
    encoding: null, // bytes: text would break a character cut in two
  });
  // The runtime does so too, but late: what was typed until then would come out twice, and its end as a NUL.
  makeRaw((pty as IPty & { readonly fd: number }).fd); // its types do not tell
  const output = new TerminalOutput(pty);
  let isOpen = true;
  const exitCode = untilExit(pty, launch, signal).finally(() => {
    isOpen = false;
    output.end();
  });
  return {
    stdout: output.read(),
    stderr: nothing(),
    write: async (chunk) => {
      if (isOpen) writeBytes(pty, chunk);
    },
    // A terminal has no end of file; typed, this is it.
    closeStdin: () => {
      if (isOpen) pty.write(END_OF_TRANSMISSION);
    },
    resize: ({ columns, rows }) => {
      if (isOpen && columns > 0 && rows > 0) pty.resize(columns, rows);
    },
    exitCode,
  };
}

/** Its types know only text, its code hands on what it gets. */
function writeBytes(pty: IPty, chunk: Uint8Array): void {
  const write = pty.write.bind(pty) as unknown as (data: Uint8Array) => void; // see above
  write(chunk);
}

async function untilExit(pty: IPty, launch: ExecLaunch, signal: AbortSignal): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  pty.onExit(({ exitCode, signal: number }) => resolve(number !== undefined && number > 0 ? 128 + number : exitCode));
  const abort = (): void => {
    launch.kill(pty.pid);
    pty.kill("SIGKILL");
  };
  signal.addEventListener("abort", abort, { once: true });
  try {
    return launch.exitCode(await promise);
  } finally {
    signal.removeEventListener("abort", abort);
    launch.end();
  }
}

/** The terminal's output as an iterable. Past the limit the terminal is not read, so that the command waits. */
class TerminalOutput {
  readonly #pty: IPty;
  #chunks: Buffer[] = [];
  #size = 0;
  #hasEnded = false;
  #wake: () => void = () => {};

  constructor(pty: IPty) {
    this.#pty = pty;
    pty.onData((data: unknown) => this.#take(Buffer.isBuffer(data) ? data : Buffer.from(String(data))));
  }

  end(): void {
    this.#hasEnded = true;
    this.#wake();
  }

  async *read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunks = this.#chunks;
      const wasFull = this.#size >= BUFFERED_LIMIT_BYTES;
      [this.#chunks, this.#size] = [[], 0];
      if (wasFull && !this.#hasEnded) this.#pty.resume();
      yield* chunks;
      if (this.#chunks.length > 0) continue;
      if (this.#hasEnded) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size >= BUFFERED_LIMIT_BYTES) this.#pty.pause();
    this.#wake();
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // With a terminal everything comes on stdout.
}
