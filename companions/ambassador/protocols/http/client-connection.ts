import type { Exchange, Progress } from "./exchange-state.ts";
import { type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { startTimer } from "@peapod/kit";
import { AmbassadorError } from "../../errors.ts";
import { Wire } from "../../flow/wire.ts";
import type { Session } from "../protocol.ts";
import { type ExchangeParts, fail, serveExchange } from "./exchange.ts";
import { problemOf, rawAnswer, RequestRefused } from "./problem.ts";

/** Requests that a client may send ahead of their answers; they are served in turn. */
const MAX_AHEAD = 256;
/** A client that has its answer may send so long on what nobody reads. */
const LINGER_MS = 5_000;
/** A connection without a request is closed after so long. Long: a client that meets the end on the way may lose a request. */
const UNUSED_MS = 600_000;
/** The same once its listener drains. A client that asks more often hears from its next answer that it is the last. */
const UNUSED_IN_DRAIN_MS = 2_000;

/** Times of a listener, in milliseconds. */
export interface Times {
  readonly handshakeMs: number;
  readonly idleMs: number;
}

interface Running {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly progress: Progress;
}

/**
 * One client's connection. States: waiting for a head (the first, or the next), exchanging, lingering (the answer is out, the request is
 * not all in), tunnel, ended. Requests are served one after the other.
 */
export class ClientConnection {
  readonly #socket: Socket;
  readonly #session: Session;
  readonly #parts: ExchangeParts;
  readonly #ended = Promise.withResolvers<void>();
  #tail: Promise<void> = Promise.resolve();
  #ahead = 0;
  #running: Running | undefined;
  #latest: IncomingMessage | undefined;
  /** Why the body of the latest request will never be whole. */
  #broken: AmbassadorError | undefined;
  #isTunnel = false;
  #seen = { bytes: 0, atMs: performance.now() };
  #counted = { read: 0, written: 0 };
  #headSinceMs: number | undefined = performance.now();
  #bug: { readonly cause: unknown } | undefined;

  constructor(socket: Socket, session: Session, parts: ExchangeParts) {
    this.#socket = socket;
    this.#session = session;
    this.#parts = parts;
    socket.on("error", () => {}); // its close is what counts
    socket.once("close", () => this.#ended.resolve());
    const onEnd = (): void => void setImmediate(() => this.#ahead === 0 && this.#endBetween());
    session.end.addEventListener("abort", onEnd, { once: true });
    socket.once("close", () => session.end.removeEventListener("abort", onEnd));
    if (session.end.aborted) onEnd();
  }

  /** Resolves when the connection has ended and what ran for it too. Throws for a bug. */
  async untilEnded(): Promise<void> {
    await this.#ended.promise;
    await this.#tail;
    this.#count();
    if (this.#bug !== undefined) throw new Error("A request met a bug", this.#bug);
  }

  /** Serves a request after those before it. */
  serve(request: IncomingMessage, response: ServerResponse): void {
    this.#latest = request;
    this.#enqueue(async () => await this.#exchange(request, response, undefined));
  }

  /** Serves one that has left HTTP's parser: whatever is answered but the other protocol is the last on this connection. */
  serveDetached(request: IncomingMessage, head: Buffer): void {
    const socket = this.#socket;
    const wire = new Wire(socket); // at once: the client's end must not go unseen
    wire.unread(head);
    this.#enqueue(async () => {
      if (socket.destroyed) return;
      const response = new ServerResponse(request);
      response.shouldKeepAlive = false;
      response.assignSocket(socket);
      await this.#exchange(request, response, wire);
      if (this.#isTunnel) return;
      response.detachSocket(socket);
      socket.destroySoon();
    });
  }

  /** What came is no HTTP. A request in the middle of its body fails; else the answers before it go out first. */
  malformed(error: Error): void {
    const code = "code" in error ? String(error.code) : "";
    if (!code.startsWith("HPE_")) {
      this.#socket.destroy();
      return;
    }
    const refusal =
      code === "HPE_HEADER_OVERFLOW"
        ? new RequestRefused(431, "The request's header fields are too long")
        : new RequestRefused(400, `The request is not valid HTTP (${code})`);
    if (this.#latest?.complete === false) {
      this.#broken = refusal; // for when its turn comes
      if (this.#running?.request === this.#latest) fail(this.#running.progress, refusal);
      return;
    }
    this.#enqueue(async () => {
      this.#refuse(refusal);
      await Promise.resolve();
    });
  }

  /** Ends it for a bug, which `untilEnded` throws. */
  breakOff(cause: unknown): void {
    this.#bug ??= { cause };
    this.#socket.destroy();
  }

  /** Ends what takes too long. Called every now and then. */
  watch(nowMs: number, { handshakeMs, idleMs }: Times): void {
    if (this.#isTunnel || this.#socket.destroyed) return;
    const outgoing = this.#running?.progress.outgoing?.socket;
    const bytes = this.#socket.bytesRead + this.#socket.bytesWritten + (outgoing?.bytesRead ?? 0) + (outgoing?.bytesWritten ?? 0);
    if (bytes !== this.#seen.bytes) this.#seen = { bytes, atMs: nowMs };
    const quietMs = nowMs - this.#seen.atMs;
    if (this.#running !== undefined) {
      if (quietMs > idleMs) this.#stall(this.#running);
      return;
    }
    if (this.#socket.bytesRead > this.#counted.read) this.#headSinceMs ??= nowMs;
    if (this.#headSinceMs !== undefined && nowMs - this.#headSinceMs > handshakeMs) {
      if (this.#socket.bytesRead > this.#counted.read) this.#refuse(new RequestRefused(408, "The request's head takes too long"));
      else this.#socket.destroy();
    } else if (quietMs > (this.#session.draining.aborted ? UNUSED_IN_DRAIN_MS : UNUSED_MS)) this.#socket.destroy();
  }

  #enqueue(work: () => Promise<void>): void {
    if (++this.#ahead > MAX_AHEAD) {
      this.#socket.destroy();
      return;
    }
    this.#tail = this.#tail.then(work).then(
      () => {
        this.#ahead--;
      },
      (cause: unknown) => this.breakOff(cause),
    );
  }

  async #exchange(request: IncomingMessage, response: ServerResponse, wire: Wire | undefined): Promise<void> {
    const socket = this.#socket;
    const exchange: Exchange = { session: this.#session, socket, request, response, wire };
    if (socket.destroyed) return;
    const startedMs = performance.now();
    const progress: Progress = {
      outgoing: undefined,
      endpoint: undefined,
      failure: request === this.#latest ? this.#broken : undefined,
      isTunnel: false,
      onTunnel: () => this.#becomeTunnel(),
    };
    this.#running = { request, response, progress };
    this.#headSinceMs = undefined;
    this.#seen = { bytes: -1, atMs: startedMs };
    await serveExchange(exchange, this.#parts, progress);
    if (!request.complete && !progress.isTunnel && !socket.destroyed) await this.#linger(request);
    this.#running = undefined;
    this.#tell(exchange, progress, startedMs);
    if (this.#ahead === 1) this.#endBetween();
  }

  #becomeTunnel(): void {
    this.#isTunnel = true;
    this.#session.count(-this.#counted.read, -this.#counted.written); // the splice counts the whole connection
  }

  /** Reads the rest of a request whose answer is out, so that the answer arrives; not for ever. */
  async #linger(request: IncomingMessage): Promise<void> {
    const timer = startTimer(() => this.#socket.destroy(), LINGER_MS);
    const { promise, resolve } = Promise.withResolvers<void>();
    request.once("end", resolve).once("close", resolve);
    this.#socket.once("close", resolve);
    request.resume();
    await promise;
    this.#socket.off("close", resolve);
    timer[Symbol.dispose]();
  }

  #tell({ request, response }: Exchange, progress: Progress, startedMs: number): void {
    const { read, written } = this.#counted;
    if (!this.#isTunnel) this.#count();
    const isGone = progress.failure?.code === "CLIENT_GONE" && !response.writableFinished;
    this.#session.request?.({
      method: request.method ?? "",
      path: (request.url ?? "").replace(/[?#].*$/s, "").replace(/^([^/]*\/\/)[^/]*@/, "$1"), // nor who says that he asks
      status: progress.isTunnel ? 101 : isGone ? 499 : response.statusCode,
      durationMs: performance.now() - startedMs,
      fromClientBytes: this.#socket.bytesRead - read,
      toClientBytes: this.#socket.bytesWritten - written,
      endpoint: progress.endpoint,
      code: progress.failure?.code,
    });
  }

  #count(): void {
    if (this.#isTunnel) return;
    const { bytesRead, bytesWritten } = this.#socket;
    this.#session.count(bytesRead - this.#counted.read, bytesWritten - this.#counted.written);
    this.#counted = { read: bytesRead, written: bytesWritten };
  }

  #stall({ request, progress }: Running): void {
    const error = request.complete
      ? new AmbassadorError("UPSTREAM_TIMEOUT", "The upstream says nothing")
      : new RequestRefused(408, "The request's body takes too long");
    if (progress.outgoing === undefined || progress.failure !== undefined) this.#socket.destroy();
    fail(progress, error);
  }

  #refuse(error: AmbassadorError): void {
    this.#socket.end(rawAnswer(problemOf(error)));
    this.#socket.destroySoon();
    this.#session.request?.({
      method: "",
      path: "",
      status: problemOf(error).status,
      durationMs: 0,
      fromClientBytes: 0,
      toClientBytes: 0,
      endpoint: undefined,
      code: error.code,
    });
  }

  /** Ends it where no answer is on its way. While it only drains, the next answer says that it is the last: a request may be under way already. */
  #endBetween(): void {
    if (this.#session.end.aborted && this.#running === undefined && !this.#isTunnel) this.#socket.destroySoon();
  }
}
