import { startTimer } from "@peapod/kit";
import { AmbassadorError, type ErrorCode } from "../../errors.ts";
import type { Wire } from "../../flow/wire.ts";

/**
 * Answers the client's first command with an error and ends the connection; a client that says nothing within the time is just ended.
 * The answer names neither the upstream nor a credential: the log does the former.
 */
export async function refuse(client: Wire, cause: unknown, withinMs: number): Promise<void> {
  const timer = startTimer(() => client.destroy(), withinMs);
  try {
    await client.readSome(1); // an answer that comes before its question confuses clients
    client.write(Buffer.from(`${errorReply(cause)}\r\n`));
    client.end();
    while ((await client.readSome(65_536)).length > 0); // unread bytes would turn the end into a reset, which may overtake the answer
  } catch {
    // the client is gone, and needs no answer
  } finally {
    timer[Symbol.dispose]();
    client.destroy();
  }
}

/** In Redis' way: a word in capitals that clients look at, then a sentence. */
export function errorReply(cause: unknown): string {
  const code = cause instanceof AmbassadorError ? cause.code : undefined;
  const word = code === "LOGIN_REFUSED" || code === "CREDENTIAL_MISSING" ? "NOAUTH" : "ERR";
  return `-${word} ambassador: ${(code === undefined ? undefined : sentences[code]) ?? "the connection was ended"}`;
}

const sentences: Partial<Record<ErrorCode, string>> = {
  UPSTREAM_UNREACHABLE: "the upstream cannot be reached",
  UPSTREAM_TIMEOUT: "the upstream did not answer in time",
  UPSTREAM_UNTRUSTED: "the upstream's certificate is not trusted",
  UPSTREAM_BUSY: "the upstream takes no connections now",
  UPSTREAM_ROLE: "no upstream has the wanted role",
  UPSTREAM_PROTOCOL: "the upstream does not speak Redis' protocol",
  LOGIN_REFUSED: "the upstream refused the login",
  CREDENTIAL_MISSING: "there is no credential to log in with",
  NO_ENDPOINT: "no upstream is available",
  LIMIT_REACHED: "too many connections",
  RATE_LIMITED: "too many new connections",
  DRAINING: "shutting down",
};
