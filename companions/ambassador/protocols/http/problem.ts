import type { ServerResponse } from "node:http";
import { AmbassadorError, type ErrorCode } from "../../errors.ts";

/** A request that is refused for what it is, with the status that says so. */
export class RequestRefused extends AmbassadorError {
  readonly status: number;
  constructor(status: number, message: string) {
    super("CLIENT_PROTOCOL", message);
    this.status = status;
  }
}

/** What a client is told of a failure: RFC 9457's members, and the ambassador's code. */
export interface Problem {
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  /** A moment later may do better: `Retry-After`, in seconds. */
  readonly retryAfterSeconds: number | undefined;
  /** What comes next on this connection cannot be trusted, or there will be nobody to serve it. */
  readonly mustClose: boolean;
}

const statuses: Readonly<Partial<Record<ErrorCode, number>>> = {
  RATE_LIMITED: 429,
  LIMIT_REACHED: 503,
  NO_ENDPOINT: 503,
  UPSTREAM_BUSY: 503,
  CREDENTIAL_MISSING: 503,
  DRAINING: 503,
  UPSTREAM_TIMEOUT: 504,
  CLIENT_PROTOCOL: 400,
  CLIENT_GONE: 408,
};

/** The problem of an error: 502 for what an upstream did wrong, 503 for what is for now, 504 for what took too long, 4xx for the client's own. */
export function problemOf(error: AmbassadorError): Problem {
  const { code, message } = error;
  const isLimit = code === "RATE_LIMITED" || code === "LIMIT_REACHED";
  return {
    status: error instanceof RequestRefused ? error.status : (statuses[code] ?? 502),
    code,
    detail: message,
    retryAfterSeconds: isLimit ? 1 : undefined,
    mustClose: code === "CLIENT_PROTOCOL" || code === "DRAINING" || code === "CLIENT_GONE",
  };
}

/** Answers with `application/problem+json`. */
export function respondWith(problem: Problem, response: ServerResponse): void {
  const body = bodyOf(problem);
  if (problem.mustClose) response.shouldKeepAlive = false;
  response.sendDate = true;
  response.writeHead(problem.status, [...headersOf(problem, body)]);
  response.end(body);
}

/** The same for a connection whose request could not be read: the whole answer, which ends it. */
export function rawAnswer(problem: Problem): string {
  const body = bodyOf(problem);
  const fields = headersOf(problem, body);
  let head = `HTTP/1.1 ${problem.status} ${phrases[problem.status] ?? "Bad Request"}\r\n`;
  for (let index = 0; index < fields.length; index += 2) head += `${fields[index]}: ${fields[index + 1]}\r\n`;
  return `${head}Connection: close\r\n\r\n${body}`;
}

const phrases: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
};

function bodyOf({ status, code, detail }: Problem): string {
  return `${JSON.stringify({ type: "about:blank", status, code, detail })}\n`;
}

function headersOf({ retryAfterSeconds }: Problem, body: string): string[] {
  const fields = ["Content-Type", "application/problem+json", "Content-Length", `${Buffer.byteLength(body)}`];
  return retryAfterSeconds === undefined ? fields : [...fields, "Retry-After", `${retryAfterSeconds}`];
}
