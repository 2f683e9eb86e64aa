import { AmbassadorError, type ErrorCode } from "../../errors.ts";
import { cString, formatMessage, splitStrings } from "./messages.ts";

/** What a client is told for each failure that is not the upstream's own word: an SQLSTATE that its driver knows. */
const sqlStates: Readonly<Record<ErrorCode, string>> = {
  UPSTREAM_UNREACHABLE: "08006", // connection_failure
  UPSTREAM_TIMEOUT: "08006",
  UPSTREAM_UNTRUSTED: "08001", // sqlclient_unable_to_establish_sqlconnection
  UPSTREAM_BUSY: "57P03", // cannot_connect_now
  UPSTREAM_ROLE: "57P03",
  LOGIN_REFUSED: "28P01", // invalid_password
  UPSTREAM_PROTOCOL: "08006", // the client kept to it
  NO_ENDPOINT: "57P03",
  LIMIT_REACHED: "53300", // too_many_connections
  RATE_LIMITED: "53300",
  CREDENTIAL_MISSING: "28000", // invalid_authorization_specification
  CLIENT_PROTOCOL: "08P01", // protocol_violation
  CLIENT_GONE: "08006",
  DRAINING: "57P03",
  CONFIG_INVALID: "F0000", // config_file_error
  LISTEN_FAILED: "F0000",
};

/** A server's own ErrorResponse, the cause of the AmbassadorError that it led to. */
export class UpstreamRefusal extends Error {
  override readonly name = "UpstreamRefusal";
  readonly sqlState: string;
  /** The message as it came. */
  readonly raw: Buffer;
  constructor(sqlState: string, raw: Buffer) {
    super(`The upstream said SQLSTATE ${sqlState}`); // not its text: that may name who logged in
    this.sqlState = sqlState;
    this.raw = raw;
  }
}

/** The SQLSTATE of an ErrorResponse's body; `XX000` where it has none. */
export function parseSqlState(body: Buffer): string {
  const fields = splitStrings(body.at(-1) === 0 ? body.subarray(0, -1) : body) ?? [];
  const code = fields.find((field) => field[0] === 0x43)?.toString("latin1", 1) ?? "";
  return /^[0-9A-Z]{5}$/.test(code) ? code : "XX000";
}

/**
 * What a server's refusal during a login means here. Class 28 is about the credentials, which are the ambassador's: its text, which names
 * them, stays here. Everything else is about what the client asked for and is told as it came.
 */
export function refusalError(endpoint: string, raw: Buffer, body: Buffer): AmbassadorError {
  const sqlState = parseSqlState(body);
  const cause = new UpstreamRefusal(sqlState, raw);
  const code = isBusy(sqlState, body) ? "UPSTREAM_BUSY" : "LOGIN_REFUSED";
  const what = isAboutCredentials(sqlState) ? "refused the ambassador's credentials" : "refused the connection";
  return new AmbassadorError(code, `The upstream ${endpoint} ${what} (SQLSTATE ${sqlState})`, { cause });
}

/**
 * Whether the server takes nobody now. 08P01 and 57P04 (the database was dropped) are about what this client asked for, and no client may
 * bring its endpoint into disrepute. PgBouncer says 08P01 of everything, though, of having no place left too.
 */
function isBusy(sqlState: string, body: Buffer): boolean {
  if (sqlState === "08P01") return body.includes("Mno more connections allowed");
  return /^(?:53...|57P0[1235]|08...)$/.test(sqlState);
}

/**
 * The same without the server's text where that has the name that we logged in with, such as "too many connections for role": an application
 * does not know it. What a server says of a database passes, though that may be called the same.
 */
export function withoutName(error: unknown, user: Buffer): unknown {
  if (!(error instanceof AmbassadorError && error.cause instanceof UpstreamRefusal)) return error;
  const { sqlState, raw } = error.cause;
  if (sqlState === "3D000" || !raw.includes(user)) return error;
  return new AmbassadorError(error.code, error.message, { cause: new UpstreamRefusal(sqlState, fatal(sqlState, error.message)) });
}

/** Whether another password could do better. */
export function isAboutCredentials(sqlState: string): boolean {
  return sqlState.startsWith("28");
}

/** The ErrorResponse that tells a client why there is no session: the upstream's own, or ours. */
export function errorResponse(error: unknown): Buffer {
  if (!(error instanceof AmbassadorError)) return fatal("XX000", "The ambassador failed");
  const { cause } = error;
  if (cause instanceof UpstreamRefusal) return isAboutCredentials(cause.sqlState) ? fatal(cause.sqlState, error.message) : cause.raw;
  return fatal(sqlStates[error.code], error.message);
}

/** Severity twice: the localized field, and the one that never is (9.6). */
export function fatal(sqlState: string, message: string): Buffer {
  const field = (type: string, text: string): Buffer => cString(type + text.replaceAll("\0", ""));
  return formatMessage("E", field("S", "FATAL"), field("V", "FATAL"), field("C", sqlState), field("M", message), Buffer.of(0));
}
