import type { IncomingMessage } from "node:http";
import { badRequest, expired, failure, internalError, PatchError, SelectorError, type Status, unknownPath } from "@peapod/api";
import { type Logger, messageOf } from "@peapod/kit";
import { EngineError, type ErrorCode } from "../errors.ts";
import { storeTroubles } from "../store/store-error.ts";
import { HistoryGone } from "../store/store.ts";

/** A request that ends with this Status. */
export class StatusError extends Error {
  override readonly name = "StatusError";
  readonly status: Status;
  constructor(status: Status, options?: ErrorOptions) {
    super(status.message ?? status.reason ?? "The request failed", options);
    this.status = status;
  }
}

/** The Status that tells a client of an error; the only place where errors become one. */
export function statusOf(error: unknown): Status {
  if (hasStatus(error)) return error.status;
  if (error instanceof SelectorError) return badRequest(error.message);
  if (error instanceof PatchError) return error.kind === "malformed" ? badRequest(error.message) : failure(422, "Invalid", error.message);
  if (error instanceof HistoryGone) return expired("The resourceVersion for the provided watch is too old.");
  if (error instanceof EngineError) {
    const { code, reason } = answers[error.code] ?? { code: 500, reason: "InternalError" };
    return failure(code, reason, error.message);
  }
  return internalError(messageOf(error));
}

/** What the codes of the engine are to a client; one that is not here is our fault. */
const answers: Partial<Record<ErrorCode, { readonly code: number; readonly reason: string }>> = {
  ...Object.fromEntries(storeTroubles.map((code) => [code, { code: 503, reason: "ServiceUnavailable" }])),
  IMAGE_NAME_INVALID: { code: 400, reason: "BadRequest" },
  IMAGE_INVALID: { code: 400, reason: "BadRequest" },
  IMAGE_NOT_FOUND: { code: 404, reason: "NotFound" },
  IMAGE_IN_USE: { code: 409, reason: "Conflict" },
  IMAGE_PULL_FAILED: { code: 502, reason: "BadGateway" },
  MACHINE_LACKS: { code: 501, reason: "NotImplemented" },
};

/** What a failed request is reported with. */
export interface Reporting {
  readonly request: IncomingMessage;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * The Status to answer a request's error with; where that is 500 the error is the server's fault and logged, since somebody must look. Of a
 * request whose client is gone, which is answered by nobody, only at level debug.
 */
export function reportedStatus(error: unknown, { request, log, signal }: Reporting): Status {
  const status = statusOf(error);
  const level = signal.aborted ? "debug" : "error";
  if ((status.code ?? 500) === 500) log[level]("request failed", { method: request.method, url: request.url, error });
  return status;
}

/** 404 for a path that leads nowhere. */
export function noSuchPath(): StatusError {
  return new StatusError(unknownPath());
}

/** Also the client's ApiError, which a node's answers come as: it carries a Status too. */
function hasStatus(error: unknown): error is { status: Status } {
  if (!(error instanceof Error) || !("status" in error)) return false;
  const status = error.status;
  return typeof status === "object" && status !== null && "kind" in status && status.kind === "Status";
}
