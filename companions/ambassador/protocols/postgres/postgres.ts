import { startTimer } from "@peapod/kit";
import { abortSignalOf } from "../../flow/cancel.ts";
import type { PostgresListenerConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { AmbassadorError } from "../../errors.ts";
import type { Splice } from "../../flow/splice.ts";
import { type Wire, WireEnded } from "../../flow/wire.ts";
import type { MakeProtocol, Session } from "../protocol.ts";
import { CancelKeys, type SendCancel } from "./cancel-keys.ts";
import { ALPN, type ClientRequest, receiveRequest } from "./client-request.ts";
import { errorResponse } from "./error-response.ts";
import { IdleWatch } from "./idle-watch.ts";
import { parameterOf, type StartupMessage } from "./startup-message.ts";
import { type UpstreamSession, UpstreamSessions } from "./upstream-session.ts";

/** A client that was told of a failure has this long to read it and to go. */
const FAREWELL_MS = 1_000;

/**
 * PostgreSQL with the listener's credentials in place of the application's: one upstream login for each client's, never pooled. The client
 * is believed, as on localhost; the upstream is asked for its proof. After ReadyForQuery bytes pass untouched.
 */
export const postgresProtocol: MakeProtocol<PostgresListenerConfig> = (listener, { credentials, heritage }) => {
  const sessions = new UpstreamSessions(listener, credentials);
  const cancelKeys = heritage instanceof CancelKeys ? heritage : new CancelKeys(); // sessions from before a reload may be cancelled after it
  return {
    kind: "wire",
    serve: async (client, session) => {
      try {
        const request = await receive(client, session, listener, credentials);
        if (request.kind === "cancel") await cancel(client, session, request.key, cancelKeys);
        else await forward(client, session, request.startup, { sessions, cancelKeys, listener });
        client.destroy();
      } catch (error) {
        await tell(client, error);
        throw error;
      }
    },
    check: (target, signal) => sessions.check(target, signal),
    heritage: cancelKeys,
    dispose: () => sessions.dispose(),
  };
};

interface Parts {
  readonly sessions: UpstreamSessions;
  readonly cancelKeys: CancelKeys;
  readonly listener: PostgresListenerConfig;
}

/** Hears what the client wants, within the listener's time. Throws CLIENT_PROTOCOL, CLIENT_GONE. */
async function receive(client: Wire, session: Session, listener: PostgresListenerConfig, credentials: Credentials): Promise<ClientRequest> {
  let why = "The client went away before it said what it wants";
  const giveUp = (reason: string): void => {
    why = reason;
    client.destroy();
  };
  const end = (): void => giveUp("The ambassador ended the connection before the client said what it wants");
  const timer = startTimer(() => giveUp(`The client did not say what it wants within ${listener.handshakeMs} ms`), listener.handshakeMs);
  session.end.addEventListener("abort", end, { once: true });
  try {
    const request = await receiveRequest(client, tlsOf(listener, credentials));
    // A cancel request may be plain: libpq before 17 sends no other.
    if (request.kind === "startup" && listener.serverTls !== undefined && client.tls === undefined)
      throw new AmbassadorError("CLIENT_PROTOCOL", "This listener speaks only TLS: the client did not ask for it");
    return request;
  } catch (cause) {
    if (cause instanceof WireEnded) throw new AmbassadorError("CLIENT_GONE", why, { cause });
    throw cause;
  } finally {
    timer[Symbol.dispose]();
    session.end.removeEventListener("abort", end);
  }
}

function tlsOf({ serverTls }: PostgresListenerConfig, credentials: Credentials): Parameters<typeof receiveRequest>[1] {
  if (serverTls === undefined) return undefined;
  return async (wire, isDirect) => {
    const context = credentials.serverContext(serverTls);
    try {
      const secure = await wire.acceptTls(context, { requestCert: serverTls.clientCaFile !== undefined, ALPNProtocols: [ALPN] });
      if (!isDirect || secure.alpnProtocol === ALPN) return;
    } catch (cause) {
      if (cause instanceof WireEnded || cause instanceof AmbassadorError) throw cause;
      throw new AmbassadorError("CLIENT_PROTOCOL", "The client's TLS handshake failed", { cause });
    }
    throw new AmbassadorError("CLIENT_PROTOCOL", "The client began with TLS without naming PostgreSQL in it");
  };
}

async function forward(client: Wire, session: Session, startup: StartupMessage, parts: Parts): Promise<void> {
  using upstream = await connect(client, session, startup, parts);
  await session.splice(client, upstream.wire, pauses(startup, parts.listener));
}

/** Where a session may have to end before its client ends it, that is not in a transaction. A replication stream has none, and goes on where it was. */
function pauses(startup: StartupMessage, { login }: PostgresListenerConfig): Splice {
  if (login.maxAgeMs === undefined || parameterOf(startup, "replication") !== undefined) return {};
  const watch = new IdleWatch();
  const fromUpstream = (chunk: Buffer): Buffer => {
    watch.see(chunk);
    return chunk;
  };
  return { fromUpstream, isPause: () => watch.isIdle };
}

/** Logs in upstream and greets the client. What the login needed is garbage afterwards: only the wire stays for an idle connection. */
async function connect(client: Wire, session: Session, startup: StartupMessage, parts: Parts): Promise<Disposable & { wire: Wire }> {
  let opened: UpstreamSession | undefined;
  const gone = new AbortController();
  const leave = (): void => gone.abort(new AmbassadorError("CLIENT_GONE", "The client went away before it was logged in"));
  const stay = client.whenGone(leave, { atEnd: true });
  const lease = await session.connect(async (target, signal, wanted) => {
    const options = { onBehalfOf: session, wanted, signal: AbortSignal.any([abortSignalOf(signal), gone.signal]) };
    opened = await parts.sessions.open(target, startup, options);
    return opened.wire;
  });
  stay();
  if (opened === undefined) throw new Error("An upstream without a session");
  const { identity, greeting } = opened;
  const { target } = lease;
  const send: SendCancel = (key, onBehalfOf, signal) => parts.sessions.cancel(target, key, onBehalfOf, signal);
  const key = greeting.cancelKey === undefined ? undefined : parts.cancelKeys.add(greeting.cancelKey, send); // before the client knows it
  session.used(identity.secrets);
  session.note({ user: String(parameterOf(startup, "user")), database: identity.database.toString() });
  client.write(greeting.bytes);
  return {
    wire: lease.value,
    [Symbol.dispose]: () => {
      key?.[Symbol.dispose]();
      lease[Symbol.dispose]();
    },
  };
}

/** Passes a cancel request on to the very server that issued its key. A client is never told what became of it. */
async function cancel(client: Wire, session: Session, key: Buffer, cancelKeys: CancelKeys): Promise<void> {
  try {
    const send = cancelKeys.find(key);
    if (send === undefined) throw new AmbassadorError("CLIENT_GONE", "A cancel request for a session that is not there");
    await send(key, session, session.end);
  } finally {
    client.destroy();
  }
}

/** Says why in the protocol's words, and lets the client read it before the connection ends. */
async function tell(client: Wire, error: unknown): Promise<void> {
  client.write(errorResponse(error));
  client.end();
  const timer = startTimer(() => client.destroy(), FAREWELL_MS);
  await client.closed;
  timer[Symbol.dispose]();
  client.destroy();
}
