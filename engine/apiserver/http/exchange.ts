import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Duplex } from "node:stream";
import type { Status } from "@peapod/api";
import type { Logger } from "@peapod/kit";
import { prefersYaml, YAML } from "../encodings/negotiation.ts";
import type { Query } from "./query.ts";
import type { User } from "./user.ts";
import { writeYaml } from "../encodings/yaml-writer.ts";

/** What a client asks. */
export interface Call {
  readonly request: IncomingMessage;
  /** GET also for a HEAD. */
  readonly method: string;
  /** Still encoded. */
  readonly path: string;
  readonly query: Query;
  readonly user: User;
  readonly log: Logger;
  /** Aborted when the client is gone or the server stops. */
  readonly signal: AbortSignal;
}

/** One request with its answer. */
export interface Exchange extends Call {
  readonly response: ServerResponse;
}

/** A request to go on with the connection in another protocol. */
export interface Upgrade extends Call {
  readonly socket: Duplex;
  /** What came of the other protocol already. */
  readonly head: Buffer;
}

/** Answers with a value, as JSON or as the YAML that the headers say. */
export async function sendValue(
  response: ServerResponse,
  code: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const text = headers["Content-Type"] === YAML ? writeYaml(value) : `${JSON.stringify(value)}\n`;
  await sendBytes(response, code, Buffer.from(text), {
    "Content-Type": "application/json",
    "Cache-Control": "no-cache, private",
    ...headers,
  });
}

/** Answers with a Status and its code, in the form that the client asks for, if it is one of ours. */
export async function sendStatus(response: ServerResponse, status: Status): Promise<void> {
  const after = status.details?.retryAfterSeconds;
  await sendValue(response, status.code ?? 200, status, {
    "Content-Type": prefersYaml(response.req.headers.accept) ? YAML : "application/json",
    ...(after === undefined ? {} : { "Retry-After": String(after) }),
  });
}

/** What is shorter is sent as it is: upstream's limit. */
const GZIP_FROM_BYTES = 128 * 1024;

/** Answers with bytes, compressed where they are many and the client takes that. */
export async function sendBytes(
  response: ServerResponse,
  code: number,
  body: Buffer,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  if (body.length < GZIP_FROM_BYTES || !takesGzip(response.req)) {
    response.writeHead(code, { ...headers, "Content-Length": body.length });
    response.end(body);
    return;
  }
  const compressed = await compress(body, { level: 1 }); // on a thread; as upstream, since most clients are near
  const vary = headers["Vary"] === undefined ? "Accept-Encoding" : `${headers["Vary"]}, Accept-Encoding`;
  response.writeHead(code, { ...headers, Vary: vary, "Content-Encoding": "gzip", "Content-Length": compressed.length });
  response.end(compressed);
}

const compress = promisify(gzip);

function takesGzip({ method, headers }: IncomingMessage): boolean {
  const codings = String(headers["accept-encoding"] ?? "").split(",");
  return method !== "HEAD" && codings.some((coding) => /^gzip(\s*;\s*q=(1|0\.0*[1-9]).*)?$/i.test(coding.trim()));
}

/** Answers with a text. */
export function sendText(response: ServerResponse, code: number, text: string): void {
  response.writeHead(code, {
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "no-cache, private",
    "Content-Length": Buffer.byteLength(text),
    "X-Content-Type-Options": "nosniff",
  });
  response.end(text);
}

/** Adds a Warning header, as kubectl prints it. At most 50, of 256 characters: a header has a limit too. */
export function addWarning(response: ServerResponse, text: string): void {
  const given = response.getHeader("Warning");
  const warnings = Array.isArray(given) ? given : [];
  if (warnings.length >= 50) return;
  const printable = text.replace(/[^\x20-\x7e]/g, "?").slice(0, 256);
  response.setHeader("Warning", [...warnings, `299 - ${JSON.stringify(printable)}`]);
}

/** Answers with values as they come, a line of JSON each. Ends with `values`, or when the client is gone. */
export async function sendLines({ response, signal }: Exchange, values: AsyncIterable<unknown>): Promise<void> {
  response.writeHead(200, { "Content-Type": "application/x-ndjson", "Cache-Control": "no-store" });
  response.flushHeaders();
  try {
    for await (const value of values) await writeChunk(response, `${JSON.stringify(value)}\n`, signal);
    response.end();
  } catch (cause) {
    if (!signal.aborted) throw cause;
    response.destroy();
  }
}

/** Writes a piece of a streamed answer and waits until the connection takes more. */
export async function writeChunk(response: ServerResponse, chunk: string | Uint8Array, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!response.write(chunk)) await once(response, "drain", { signal });
}
