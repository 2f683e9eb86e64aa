import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import type { Status } from "@peapod/api";
import type { RawData, WebSocket } from "ws";
import { ApiError } from "./client.ts";
import type { Credentials } from "./kubeconfig.ts";
import { failure, KEEP_ALIVE_MS, unreachable } from "./transport.ts";

/** What to start. */
export interface ExecQuery {
  /** Default: the pod's first, or the one its annotation names. */
  readonly container?: string;
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly tty: boolean;
}

/** A process running in a container. With a tty everything comes on stdout. */
export interface ExecStream {
  /** Read both, or the one not read holds the other up. */
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves when it is handed to the connection. */
  write(chunk: Uint8Array): Promise<void>;
  closeStdin(): void;
  resize(size: { columns: number; rows: number }): void;
  /** The process's exit code; rejects with an ApiError when it could not run or the connection broke. */
  readonly exitCode: Promise<number>;
  /** Drops the connection. */
  close(): void;
}

/** The channels of Kubernetes' remote command protocol: the first byte of each message. */
const channels = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
const V5 = "v5.channel.k8s.io";
const V4 = "v4.channel.k8s.io";
const MESSAGE_LIMIT_BYTES = 4 * 1024 * 1024;

/** Opens an exec WebSocket. Throws an ApiError where the server refuses. */
export async function openExec(url: URL, credentials: Credentials, signal: AbortSignal): Promise<ExecStream> {
  signal.throwIfAborted();
  const { WebSocket } = await import("ws");
  signal.throwIfAborted(); // meanwhile: what is added to an aborted signal hears nothing
  const address = new URL(url);
  address.protocol = url.protocol === "http:" ? "ws:" : "wss:";
  const { headers, ...tls } = credentials;
  const socket = new WebSocket(address, [V5, V4], { ...tls, headers: { ...headers }, maxPayload: MESSAGE_LIMIT_BYTES });
  const session = new Session(socket, url); // listens from the start: a message may come with the upgrade
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("open", () => resolve());
  socket.once("upgrade", (response) => response.socket.setKeepAlive(true, KEEP_ALIVE_MS));
  socket.once("unexpected-response", (_request, response: IncomingMessage) => {
    failure(response).then(reject, reject);
  });
  socket.on("error", (cause) => reject(unreachable(url, cause)));
  const drop = (): void => socket.terminate();
  signal.addEventListener("abort", drop, { once: true });
  socket.once("close", () => signal.removeEventListener("abort", drop));
  try {
    await promise;
  } catch (cause) {
    socket.terminate();
    throw signal.aborted ? signal.reason : cause;
  }
  return session;
}

class Session implements ExecStream {
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly exitCode: Promise<number>;
  readonly #socket: WebSocket;
  readonly #exit = Promise.withResolvers<number>();

  constructor(socket: WebSocket, url: URL) {
    this.#socket = socket;
    this.exitCode = this.#exit.promise;
    this.exitCode.catch(() => {}); // whoever waits for it gets it; nobody may be waiting yet
    const read = (): void => socket.resume();
    const destroy = (error: Error | null, done: (error?: Error | null) => void): void => {
      socket.resume(); // it may have been this one that held the others up
      done(error);
    };
    this.stdout = new Readable({ read, destroy });
    this.stderr = new Readable({ read, destroy });
    socket.on("message", (data) => this.#take(data));
    socket.on("close", (code) => {
      this.stdout.push(null);
      this.stderr.push(null);
      this.#exit.reject(unreachable(url, new Error(`The connection was closed (${code}) before the process ended`)));
    });
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#send(channels.stdin, chunk);
  }

  closeStdin(): void {
    // v4 has no way to say so: there the process sees the end when the connection closes.
    if (this.#socket.protocol === V5) void this.#send(channels.close, Uint8Array.of(channels.stdin));
  }

  resize(size: { columns: number; rows: number }): void {
    void this.#send(channels.resize, Buffer.from(JSON.stringify({ Width: size.columns, Height: size.rows })));
  }

  close(): void {
    this.#socket.terminate();
  }

  #take(data: RawData): void {
    const message = Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
    const payload = message.subarray(1);
    if (message[0] === channels.error) this.#end(payload);
    const stream = message[0] === channels.stdout ? this.stdout : message[0] === channels.stderr ? this.stderr : undefined;
    if (stream === undefined || stream.destroyed || payload.length === 0) return; // one that nobody reads any more holds nothing up
    if (!stream.push(payload)) this.#socket.pause();
  }

  #end(payload: Buffer): void {
    try {
      this.#exit.resolve(exitCodeOf(JSON.parse(payload.toString("utf8")) as Status)); // the protocol's own answer
    } catch (cause) {
      this.#exit.reject(cause);
    }
  }

  /** A connection that is gone is told by `exitCode`. */
  async #send(channel: number, payload: Uint8Array): Promise<void> {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#socket.send(Buffer.concat([Uint8Array.of(channel), payload]), () => resolve());
    await promise;
  }
}

/** The exit code in the Status that ends an exec; throws it where the process did not run. */
export function exitCodeOf(status: Status): number {
  if (status.status === "Success") return 0;
  const cause = status.details?.causes?.find(({ reason }) => reason === "ExitCode");
  const exitCode = Number(cause?.message);
  if (status.reason === "NonZeroExitCode" && Number.isInteger(exitCode)) return exitCode;
  throw new ApiError(status);
}
