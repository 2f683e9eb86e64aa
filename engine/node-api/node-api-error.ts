import { failure, internalError, type Status } from "@peapod/api";
import { EngineError, type ErrorCode } from "../errors.ts";

/** A request that ends with this Status. */
export class NodeApiError extends Error {
  override readonly name = "NodeApiError";
  readonly status: Status;
  constructor(status: Status, options?: ErrorOptions) {
    super(status.message ?? "The request failed", options);
    this.status = status;
  }
}

const answers: Partial<Record<ErrorCode, { code: number; reason: string }>> = {
  IMAGE_NAME_INVALID: { code: 400, reason: "BadRequest" },
  IMAGE_INVALID: { code: 400, reason: "BadRequest" },
  IMAGE_NOT_FOUND: { code: 404, reason: "NotFound" },
  IMAGE_IN_USE: { code: 409, reason: "Conflict" },
  IMAGE_PULL_FAILED: { code: 502, reason: "BadGateway" },
  MACHINE_LACKS: { code: 501, reason: "NotImplemented" },
};

/** The Status for an error, with what caused it in words. */
export function statusOf(error: unknown): Status {
  if (error instanceof NodeApiError) return error.status;
  if (!(error instanceof EngineError)) return internalError(error instanceof Error ? error.message : String(error));
  const { code, reason } = answers[error.code] ?? { code: 500, reason: "InternalError" };
  return failure(code, reason, error.message);
}
