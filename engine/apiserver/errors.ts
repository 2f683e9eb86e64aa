import { badRequest, expired, failure, internalError, PatchError, SelectorError, type Status, unknownPath } from "@peapod/api";
import { hasCode } from "../errors.ts";
import { HistoryGone } from "../store/store.ts";
import { storeTroubles } from "../store/store-error.ts";

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
  if (hasCode(error, ...storeTroubles)) return failure(503, "ServiceUnavailable", error.message);
  return internalError(error instanceof Error ? error.message : String(error));
}

/** Whether an error is the server's fault: somebody must look. */
export function isOurs(status: Status): boolean {
  return (status.code ?? 500) === 500;
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
