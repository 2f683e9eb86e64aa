import { asRecord, failure, type Status, success } from "@peapod/api";
import { contain } from "@peapod/kit";
import type { RawData, WebSocket } from "ws";
import { startTimer } from "@peapod/kit";
import type { NodeServer } from "../../kubelet/node-server.ts";

/** The protocols of Kubernetes' remote command: v5 is v4 with a message that ends a channel. */
export const CHANNEL_V5 = "v5.channel.k8s.io";
export const CHANNEL_V4 = "v4.channel.k8s.io";

/** The first byte of each message. */
const channels = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

/** Of standard input waiting for the process; the client is held up beyond it. */
const STDIN_LIMIT_BYTES = 256 * 1024;
/** Of output waiting for the client; the process is held up beyond it. */
const OUTPUT_LIMIT_BYTES = 256 * 1024;
const CLOSE_WITHIN_MS = 1_000;

export interface ExecChannel {
  readonly client: WebSocket;
  readonly session: Awaited<ReturnType<NodeServer["exec"]>>;
  /** The streams that the client asked for. */
  readonly use: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
  readonly isV5: boolean;
  readonly signal: AbortSignal;
  /** What the client is told where the process's end cannot be. */
  readonly statusOf: (error: unknown) => Status;
}

/**
 * Joins a process to a WebSocket until it ended and all was sent, then says how it ended and closes. The process's own end when the
 * client is gone is the session's, by its signal. Pings are answered by `ws`.
 */
export async function runExec(channel: ExecChannel): Promise<void> {
  const { client, session, use, signal } = channel;
  client.on("error", () => {}); // a broken connection closes it, and the signal tells
  const stop = (): void => client.terminate();
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  const input = new InputQueue(channel);
  client.on(
    "message",
    contain(
      (data: RawData) => input.take(toBuffer(data)),
      () => client.terminate(), // as when it breaks: the process ends with it
    ),
  );
  try {
    const outputs = [
      pump(client, channels.stdout, session.stdout, use.stdout, signal),
      pump(client, channels.stderr, session.stderr, use.stderr, signal),
    ];
    const [exit] = await Promise.allSettled([session.exitCode, ...outputs]);
    if (signal.aborted) return;
    const status = exit.status === "fulfilled" ? exitStatus(exit.value) : channel.statusOf(exit.reason);
    await send(client, channels.error, Buffer.from(JSON.stringify(status)));
    await closed(client);
  } finally {
    input.end();
    signal.removeEventListener("abort", stop);
    client.terminate();
  }
}

/** Tells a client that asked for a process why there is none, and closes. */
export async function refuseExec(client: WebSocket, status: Status): Promise<void> {
  client.on("error", () => {}); // as above
  await send(client, channels.error, Buffer.from(JSON.stringify(status)));
  await closed(client);
  client.terminate();
}

/** Standard input and window sizes, in the order they came; the socket is paused while too much waits. */
class InputQueue {
  readonly #channel: ExecChannel;
  #waiting: Promise<void> = Promise.resolve();
  #bytes = 0;
  #isEnded = false;

  constructor(channel: ExecChannel) {
    this.#channel = channel;
  }

  take(message: Buffer): void {
    const { session, isV5, use } = this.#channel;
    const body = message.subarray(1);
    if (message[0] === channels.resize) return this.#resize(body);
    if (!use.stdin) return;
    if (message[0] === channels.stdin && body.length > 0) this.#write(body);
    else if (isV5 && message[0] === channels.close && body[0] === channels.stdin)
      this.#waiting = this.#waiting.then(() => session.closeStdin()).catch(() => {}); // one that has ended has no input
  }

  /** What still waits is dropped: nobody reads it. */
  end(): void {
    this.#isEnded = true;
  }

  #write(body: Buffer): void {
    const { client, session } = this.#channel;
    this.#bytes += body.length;
    if (this.#bytes > STDIN_LIMIT_BYTES) client.pause();
    this.#waiting = this.#waiting
      .then(() => (this.#isEnded ? undefined : session.write(body)))
      .catch(() => {}) // a process that closed its input goes on without it
      .then(() => {
        this.#bytes -= body.length;
        if (this.#bytes <= STDIN_LIMIT_BYTES && client.isPaused) client.resume();
      });
  }

  #resize(body: Buffer): void {
    let size: unknown;
    try {
      size = JSON.parse(body.toString("utf8"));
    } catch {
      return; // not a size: nothing to do
    }
    // Upstream reads these names in any case, and the JavaScript client writes them small.
    const sides = Object.entries(asRecord(size) ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const);
    const { width: columns, height: rows } = Object.fromEntries(sides);
    if (isSide(columns) && isSide(rows)) this.#channel.session.resize({ columns, rows });
  }
}

function isSide(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value <= 65_535;
}

async function pump(
  client: WebSocket,
  channel: number,
  source: AsyncIterable<Uint8Array>,
  isWanted: boolean,
  signal: AbortSignal,
): Promise<void> {
  for await (const chunk of source) {
    if (signal.aborted) return;
    if (!isWanted || chunk.length === 0) continue;
    const sent = send(client, channel, chunk);
    if (client.bufferedAmount > OUTPUT_LIMIT_BYTES) await sent;
    else sent.catch(() => {}); // a broken connection ends this by the signal
  }
}

function send(client: WebSocket, channel: number, chunk: Uint8Array): Promise<void> {
  const message = Buffer.allocUnsafe(chunk.length + 1);
  message[0] = channel;
  message.set(chunk, 1);
  return new Promise((resolve, reject) =>
    client.send(message, { binary: true }, (error) => (error === undefined || error === null ? resolve() : reject(error))),
  );
}

/** Closes, and waits a little for the client to say so too. */
async function closed(client: WebSocket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  client.once("close", () => resolve());
  const timer = startTimer(resolve, CLOSE_WITHIN_MS);
  client.close(1000);
  await promise;
  timer[Symbol.dispose]();
}

/** How a process ended, as clients read it. */
function exitStatus(exitCode: number): Status {
  if (exitCode === 0) return success();
  const causes = [{ reason: "ExitCode", message: String(exitCode) }];
  return failure(500, "NonZeroExitCode", `command terminated with non-zero exit code: exit status ${exitCode}`, { causes });
}

function toBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
