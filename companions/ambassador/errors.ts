import { CompanionError, type FrameErrorCode } from "../frame/errors.ts";

/** What can go wrong that a protocol tells its client, a metric counts and a retry decides on. Each has an entry in docs/ambassador-errors.md. */
const codes = {
  /** Nobody answered at the upstream's address: refused, unreachable, no such name. */
  UPSTREAM_UNREACHABLE: { retry: true },
  /** Connecting, or logging in, took longer than it may. */
  UPSTREAM_TIMEOUT: { retry: true },
  /** The upstream's certificate does not hold, or it does not speak TLS where it must. */
  UPSTREAM_UNTRUSTED: { retry: true },
  /** The upstream says that it cannot take anyone now: starting, shutting down, too many clients. */
  UPSTREAM_BUSY: { retry: true },
  /** The upstream is not of the role that the listener wants (`target: read-write`). */
  UPSTREAM_ROLE: { retry: true },
  /** The upstream refused the credentials. */
  LOGIN_REFUSED: { retry: false },
  /** The upstream said what its protocol does not allow, or ended in the middle of the handshake. */
  UPSTREAM_PROTOCOL: { retry: true },
  /** Every endpoint is down, ejected, or its circuit is open. */
  NO_ENDPOINT: { retry: false },
  /** As many connections as the configuration allows, and the queue is full or its time is over. */
  LIMIT_REACHED: { retry: false },
  /** More new connections a second than the configuration allows. */
  RATE_LIMITED: { retry: false },
  /** A file with a credential or a certificate is missing, empty, or cannot be read. */
  CREDENTIAL_MISSING: { retry: false },
  /** The client said what its protocol does not allow. */
  CLIENT_PROTOCOL: { retry: false },
  /** The client went away, or took too long, before its connection was made. */
  CLIENT_GONE: { retry: false },
  /** The ambassador is shutting down. */
  DRAINING: { retry: false },
  /** The configuration is not valid; the message has a line for each problem. */
  CONFIG_INVALID: { retry: false },
  /** An address to listen on cannot be had. */
  LISTEN_FAILED: { retry: false },
} as const satisfies Record<string, { readonly retry: boolean }> & Record<FrameErrorCode, unknown>;

export type ErrorCode = keyof typeof codes;

/** Every code, for the metric of failures and the test of the documents. */
export const errorCodes = Object.keys(codes) as readonly ErrorCode[]; // the keys of the table above

/** A failure of one connection, or of the configuration. Its message never has a credential in it. */
export type AmbassadorError = CompanionError<ErrorCode>;
export const AmbassadorError: new (code: ErrorCode, message: string, options?: ErrorOptions) => AmbassadorError = CompanionError;

/** Whether another endpoint, or the same a moment later, may do better. */
export function isRetryable(error: unknown): boolean {
  return error instanceof AmbassadorError && codes[error.code].retry;
}
