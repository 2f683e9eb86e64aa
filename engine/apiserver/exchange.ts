import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Status } from "@peapod/api";
import type { Query } from "./query.ts";

/** One request with its answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** GET also for a HEAD. */
  readonly method: string;
  readonly query: Query;
  /** Aborted when the client is gone or the server stops. */
  readonly signal: AbortSignal;
}

/** Answers with a JSON value. */
export function sendJson(response: ServerResponse, code: number, value: unknown, headers: Record<string, string> = {}): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(code, {
    "Content-Type": "application/json",
    "Cache-Control": "no-cache, private",
    "Content-Length": body.length,
    ...headers,
  });
  response.end(body);
}

/** Answers with a Status and its code. */
export function sendStatus(response: ServerResponse, status: Status): void {
  const after = status.details?.retryAfterSeconds;
  sendJson(response, status.code ?? 200, status, after === undefined ? {} : { "Retry-After": String(after) });
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

/** Writes a piece of a streamed answer and waits until the connection takes more. */
export async function writeChunk(response: ServerResponse, chunk: string | Uint8Array, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!response.write(chunk)) await once(response, "drain", { signal });
}
