import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIP } from "node:net";
import { contain, type Logger, startTimer } from "@peapod/kit";
import { MovingServer } from "../moving-server.ts";
import type { Address } from "../address.ts";

/** What a path of the admin server gives. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Answers a GET of a path with its query; undefined: there is no such path. */
export type Route = (query: URLSearchParams) => Answer | Promise<Answer>;

export interface AdminParts {
  readonly routes: ReadonlyMap<string, Route>;
  /** Ends the program, for `POST /quitquitquit`. */
  readonly quit: () => void;
  readonly log: Logger;
}

/** Listens for probes, scrapes and people. It moves when the configuration says so. */
export class AdminServer implements AsyncDisposable {
  readonly #parts: AdminParts;
  readonly #server: MovingServer<Server>;

  constructor(parts: AdminParts) {
    this.#parts = parts;
    this.#server = new MovingServer({
      make: () => this.#make(),
      close,
      maxConnections: MAX_CONNECTIONS,
      log: parts.log,
      purpose: "for the admin server",
    });
  }

  /** Where it listens, with the port that was got; undefined: nowhere. */
  get address(): string | undefined {
    return this.#server.address;
  }

  /** Listens there from now on, and no more where it did; undefined: nowhere. Throws LISTEN_FAILED, and then stays where it was. */
  async moveTo(address: Address | undefined): Promise<void> {
    if (await this.#server.moveTo(address)) this.#parts.log.info("admin server listens", { address: this.address });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }

  #make(): Server {
    const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000, keepAliveTimeout: 5_000, maxHeaderSize: 8_192 });
    const onBug = (cause: unknown, request: IncomingMessage): void => {
      this.#parts.log.error("admin request met a bug", { path: request.url, error: cause });
      request.socket.destroy();
    };
    server.on(
      "request",
      contain(async (request: IncomingMessage, response: ServerResponse) => await this.#answer(request, response), onBug),
    );
    return server;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = URL.parse(`http://admin${request.url ?? "/"}`);
    const { status, contentType, body } = await this.#find(request, url).catch((cause: unknown): Answer => {
      this.#parts.log.error("admin request met a bug", { path: url?.pathname, error: cause });
      return text(500, "this is a bug: the log says more");
    });
    response.writeHead(status, { "content-type": contentType, "content-length": Buffer.byteLength(body), ...SECURITY_HEADERS });
    response.end(request.method === "HEAD" ? undefined : body);
  }

  async #find(request: IncomingMessage, url: URL | null): Promise<Answer> {
    if (url === null) return text(400, "this is no path");
    const { pathname: path, searchParams: query } = url;
    if (path === "/quitquitquit") return this.#quit(request);
    const route = this.#parts.routes.get(path);
    if (route === undefined) return text(404, `there is ${[...this.#parts.routes.keys()].join(", ")}`);
    if (request.method !== "GET" && request.method !== "HEAD") return text(405, "GET or HEAD");
    return await route(query);
  }

  /** For Jobs whose ambassador is an ordinary container. A web page must not be able to: browsers name the origin of a POST. */
  #quit(request: IncomingMessage): Answer {
    if (request.method !== "POST") return text(405, "POST");
    if (request.headers.origin !== undefined || !isFromHere(request)) return text(403, "only from this pod");
    this.#parts.quit();
    return text(200, "ends");
  }
}

/** Probes and scrapers come one or two at a time; a program that leaks connections here must not take the listeners' descriptors. */
const MAX_CONNECTIONS = 100;

const SECURITY_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
  "x-content-type-options": "nosniff",
};

/** A plain sentence. */
export function text(status: number, sentence: string): Answer {
  return { status, contentType: "text/plain; charset=utf-8", body: `${sentence}\n` };
}

/** A value for programs. */
export function json(status: number, value: unknown): Answer {
  return { status, contentType: "application/json", body: `${JSON.stringify(value, undefined, 2)}\n` };
}

function isFromHere(request: IncomingMessage): boolean {
  const { remoteAddress } = request.socket;
  if (remoteAddress === undefined) return true; // a UNIX socket
  const address = remoteAddress.replace(/^::ffff:/, "");
  return isIP(address) === 4 ? address.startsWith("127.") : address === "::1";
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = startTimer(() => server.closeAllConnections(), 500);
  await closed;
  timer[Symbol.dispose]();
}
