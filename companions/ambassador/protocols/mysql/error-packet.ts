import { AmbassadorError, type ErrorCode } from "../../errors.ts";
import { integer, PayloadReader } from "./payload.ts";

/** The first byte of a packet that says no. */
export const ERR = 0xff;

/** What a server's ERR says. */
export interface ServerError {
  readonly errno: number;
  readonly sqlState: string;
  readonly text: string;
}

/**
 * The ambassador's error for a server's ERR during login. Its message has the number, never the text: that names the user, and where the
 * user comes from a Secret it is the ambassador's alone to know.
 */
export class LoginError extends AmbassadorError {
  readonly server: ServerError;

  /** `isPlain`: the login went without TLS. Servers that insist on it may give no other hint than a refusal. */
  constructor(endpoint: string, server: ServerError, isPlain = false) {
    const code = numbers[server.errno]?.code ?? "LOGIN_REFUSED";
    const what = code === "UPSTREAM_BUSY" ? "takes no one now" : `refused the login${isPlain ? " without TLS" : ""}`;
    super(code, `${endpoint} ${what} (error ${server.errno})`);
    this.server = server;
  }
}

/** A client that goes on in plain text where the listener has a certificate. It hears the number that a server with `require_secure_transport` says. */
export class PlainClientError extends AmbassadorError {
  constructor() {
    super("CLIENT_PROTOCOL", "This listener speaks only TLS: the client did not ask for it");
  }
}

/** Servers' numbers that mean something else than "not with these credentials"; `isPublic`: the text names no user. */
const numbers: { readonly [errno: number]: { readonly code: ErrorCode; readonly isPublic: boolean } } = {
  1040: { code: "UPSTREAM_BUSY", isPublic: true }, // too many connections
  1043: { code: "UPSTREAM_PROTOCOL", isPublic: true }, // bad handshake
  1049: { code: "LOGIN_REFUSED", isPublic: true }, // unknown database
  1053: { code: "UPSTREAM_BUSY", isPublic: true }, // shutting down
  1129: { code: "UPSTREAM_BUSY", isPublic: true }, // too many connection errors from this host
  1130: { code: "LOGIN_REFUSED", isPublic: true }, // this host may not connect
  1135: { code: "UPSTREAM_BUSY", isPublic: true }, // no thread to be had
  1156: { code: "UPSTREAM_PROTOCOL", isPublic: true }, // packets out of order
  1158: { code: "UPSTREAM_PROTOCOL", isPublic: true }, // it could not read what we sent
  1159: { code: "UPSTREAM_PROTOCOL", isPublic: true }, // nor in time
  1203: { code: "UPSTREAM_BUSY", isPublic: false }, // too many connections of this user
  1226: { code: "UPSTREAM_BUSY", isPublic: false }, // the user's limits
  1835: { code: "UPSTREAM_PROTOCOL", isPublic: true }, // malformed packet
  1927: { code: "UPSTREAM_BUSY", isPublic: true }, // killed
  3032: { code: "UPSTREAM_BUSY", isPublic: false }, // offline mode
  3159: { code: "UPSTREAM_UNTRUSTED", isPublic: true }, // wants TLS
  4031: { code: "UPSTREAM_BUSY", isPublic: true }, // ended for idleness
};

/**
 * A failure of the ambassador's own in a server's words: the nearest number, and its SQLSTATE. Never one of the client library's (2000 to
 * 2999): MariaDB's library takes a server that uses them for a liar, and says "malformed packet" in place of the text.
 */
const ownErrors: { readonly [Code in ErrorCode]: readonly [errno: number, sqlState: string] } = {
  UPSTREAM_UNREACHABLE: [1158, "08S01"],
  UPSTREAM_TIMEOUT: [1159, "08S01"],
  UPSTREAM_UNTRUSTED: [1043, "08S01"],
  UPSTREAM_BUSY: [1040, "08004"],
  UPSTREAM_ROLE: [1158, "08S01"],
  LOGIN_REFUSED: [1045, "28000"],
  UPSTREAM_PROTOCOL: [1158, "08S01"],
  NO_ENDPOINT: [1158, "08S01"],
  LIMIT_REACHED: [1040, "08004"],
  RATE_LIMITED: [1040, "08004"],
  CREDENTIAL_MISSING: [1045, "28000"],
  CLIENT_PROTOCOL: [1043, "08S01"],
  CLIENT_GONE: [1159, "08S01"],
  DRAINING: [1053, "08S01"],
  CONFIG_INVALID: [1105, "HY000"],
  LISTEN_FAILED: [1105, "HY000"],
};

/** What the client is told: the server's own number, with its text where that gives nothing away. */
export function clientErrorOf(error: AmbassadorError): ServerError {
  if (error instanceof LoginError) {
    const { errno, sqlState, text } = error.server;
    return { errno, sqlState, text: numbers[errno]?.isPublic === true ? text : error.message };
  }
  const [errno, sqlState] = error instanceof PlainClientError ? [3159, "HY000"] : ownErrors[error.code];
  return { errno, sqlState, text: error.message };
}

/**
 * Reads an ERR, leniently: one that comes before the greeting has no SQLSTATE. Throws MalformedPacket where even the number is missing.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html
 */
export function parseError(payload: Buffer): ServerError {
  const reader = new PayloadReader(payload);
  reader.bytes(1);
  const errno = reader.uint16();
  const rest = reader
    .rest()
    .subarray(0, 512)
    .toString("latin1")
    .replaceAll(/[^\x20-\x7e]/g, "?");
  const state = /^#([0-9A-Z]{5})/.exec(rest)?.[1];
  return { errno, sqlState: state ?? "HY000", text: state === undefined ? rest : rest.slice(6) };
}

/** `withState` is false before the greeting: a client that has not seen capabilities yet would take the SQLSTATE for text. */
export function encodeError(error: ServerError, withState: boolean): Buffer {
  const text = Buffer.from(`${withState ? `#${error.sqlState}` : ""}${error.text}`).subarray(0, 512);
  return Buffer.concat([integer(ERR, 1), integer(error.errno, 2), text]);
}
