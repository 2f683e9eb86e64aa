import { Agent, type IncomingMessage } from "node:http";
import { Agent as SecureAgent, request as secureRequest } from "node:https";
import { request as plainRequest } from "node:http";
import { parseJson, type Status } from "@peapod/api";
import { isErrno } from "@peapod/kit";
import { ApiError } from "./client.ts";
import type { ClusterAccess } from "./kubeconfig.ts";

/** One question to the server. */
export interface Exchange {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  /** Undefined and false ones are left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default `application/json`. */
  readonly contentType?: string;
}

/** After so long without a byte the other side is asked whether it is still there: a watch would wait for one that is gone for ever. */
export const KEEP_ALIVE_MS = 30_000;
const ERROR_BODY_LIMIT_BYTES = 1024 * 1024;
const ANSWER_LIMIT_BYTES = 256 * 1024 * 1024;

/** HTTP with the credentials of a kubeconfig. Connections are kept for the next request until `close`. */
export class Transport {
  readonly #reread: () => Promise<ClusterAccess>;
  readonly #agent: Agent;
  #access: ClusterAccess;

  /** `reread` gives the kubeconfig as it is now: a server that came back may listen elsewhere. */
  constructor(access: ClusterAccess, reread: () => Promise<ClusterAccess>) {
    this.#access = access;
    this.#reread = reread;
    this.#agent = access.server.protocol === "http:" ? new Agent({ keepAlive: true }) : new SecureAgent({ keepAlive: true });
  }

  /** What the kubeconfig says. */
  get access(): ClusterAccess {
    return this.#access;
  }

  /** The answer once its headers came, for reading as a stream. Throws an ApiError for every failure, but the signal's reason when that is aborted. */
  async open(exchange: Exchange, signal: AbortSignal): Promise<IncomingMessage> {
    signal.throwIfAborted();
    const credentials = await this.access.authorize();
    const url = this.url(exchange);
    const body = exchange.body === undefined ? undefined : Buffer.from(JSON.stringify(exchange.body));
    const headers = {
      accept: "application/json",
      "user-agent": "peapod",
      ...credentials.headers,
      ...(body === undefined ? {} : { "content-type": exchange.contentType ?? "application/json", "content-length": body.length }),
    };
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const send = url.protocol === "http:" ? plainRequest : secureRequest;
    const request = send(url, { agent: this.#agent, ...credentials, method: exchange.method, headers, signal });
    request.once("socket", (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS));
    request.once("response", resolve);
    request.on("error", reject); // also after the answer began: the body's reader sees that one by itself
    request.end(body);
    let response;
    try {
      response = await promise;
    } catch (cause) {
      if (signal.aborted) throw signal.reason;
      if (isErrno(cause, "ECONNREFUSED") && (await this.#moved())) return await this.open(exchange, signal);
      // A kept connection that the server closed meanwhile: what changes nothing may be asked again.
      if (isErrno(cause, "ECONNRESET") && request.reusedSocket && exchange.method === "GET") return await this.open(exchange, signal);
      throw unreachable(this.access.server, cause);
    }
    response.on("error", () => {}); // whoever reads the body gets it; nobody may be reading yet
    if ((response.statusCode ?? 500) >= 400) throw await failure(response);
    return response;
  }

  /** Reads the kubeconfig again; tells whether it names another server now. */
  async #moved(): Promise<boolean> {
    const before = this.#access.server.href;
    this.#access = await this.#reread().catch(() => this.#access); // gone or half written: as it was
    return this.#access.server.href !== before;
  }

  /** The answer as a value, with its headers. */
  async json(exchange: Exchange, signal: AbortSignal): Promise<{ value: unknown; headers: IncomingMessage["headers"] }> {
    const response = await this.open(exchange, signal);
    try {
      return { value: parseJson(await readText(response, ANSWER_LIMIT_BYTES)), headers: response.headers };
    } catch (cause) {
      if (signal.aborted) throw signal.reason;
      throw cause instanceof ApiError ? cause : unreachable(this.access.server, cause);
    }
  }

  /** The whole address of an exchange. */
  url(exchange: Pick<Exchange, "path" | "query">): URL {
    const url = new URL(this.access.server.href.replace(/\/$/, "") + exchange.path);
    for (const [name, value] of Object.entries(exchange.query ?? {})) {
      if (value !== undefined && value !== false) url.searchParams.set(name, String(value));
    }
    return url;
  }

  /** Ends what is open. */
  close(): void {
    this.#agent.destroy();
  }
}

/** The ApiError in an answer that is one: its Status, or one made from what came instead. */
export async function failure(response: IncomingMessage): Promise<ApiError> {
  const code = response.statusCode ?? 500;
  const body = await readText(response, ERROR_BODY_LIMIT_BYTES).catch(() => ""); // a failure with half a body is still that failure
  try {
    const value: unknown = JSON.parse(body);
    if (isStatus(value)) return new ApiError({ ...value, code: value.code ?? code });
  } catch {
    // Not JSON: a proxy's page, or plain text.
  }
  const said = body.trim().slice(0, 500);
  const message = `The server answered ${code}${said === "" ? "" : `: ${said}`}`;
  return new ApiError({ apiVersion: "v1", kind: "Status", metadata: {}, status: "Failure", code, message });
}

/** What stands for a server that gave no answer. */
export function unreachable(server: URL, cause: unknown): ApiError {
  const why =
    cause instanceof AggregateError ? cause.errors.map(String).join("; ") : cause instanceof Error ? cause.message : String(cause);
  const message = `Cannot reach ${server.origin}: ${why}`;
  return new ApiError(
    { apiVersion: "v1", kind: "Status", metadata: {}, status: "Failure", reason: "ServiceUnavailable", code: 503, message },
    { cause },
  );
}

async function readText(response: AsyncIterable<Uint8Array>, limitBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response) {
    size += chunk.length;
    if (size > limitBytes) throw new Error(`The answer is longer than ${limitBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function isStatus(value: unknown): value is Status {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "Status";
}
