import type { ExecOptions, ExecSession, TerminalSize } from "../runtime.ts";

/** A process that says its command on standard output, or with standard input echoes it, and exits with 0. */
export class FakeExecSession implements ExecSession {
  readonly stdout: AsyncIterable<Uint8Array>;
  readonly stderr: AsyncIterable<Uint8Array>;
  readonly exitCode: Promise<number>;
  readonly sizes: TerminalSize[] = [];
  readonly #input: TransformStream<Uint8Array, Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor(options: ExecOptions) {
    this.#input = new TransformStream();
    this.#writer = this.#input.writable.getWriter();
    const { promise, resolve } = Promise.withResolvers<number>();
    this.exitCode = promise;
    const echo = this.#input.readable;
    this.stdout = (async function* () {
      if (!options.stdin) yield Buffer.from(`${options.command.join(" ")}\n`);
      else for await (const chunk of echo) yield chunk;
      resolve(0);
    })();
    this.stderr = (async function* () {})();
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#writer.write(chunk);
  }

  closeStdin(): void {
    this.#writer.close().catch(() => {}); // closed already
  }

  resize(size: TerminalSize): void {
    this.sizes.push(size);
  }
}
