import { abortAfter } from "@peapod/kit";
import { abortSignalOf } from "../../flow/cancel.ts";
import type { MysqlListenerConfig } from "../../config/config.ts";
import { abortable } from "../../flow/abortable.ts";
import { AmbassadorError } from "../../errors.ts";
import type { OnBehalfOf } from "../../upstream/dial-upstream.ts";
import type { Splice } from "../../flow/splice.ts";
import type { Wire } from "../../flow/wire.ts";
import type { Lease, Open, Role, Target } from "../../upstream/upstream.ts";
import type { MakeProtocol, Session } from "../protocol.ts";
import { capability } from "./capabilities.ts";
import { ChangeUserRelay } from "./change-user-relay.ts";
import { ClientFront, SlowClient } from "./client-front.ts";
import { sayFarewell } from "./farewell.ts";
import { LoginError } from "./error-packet.ts";
import type { Greeting } from "./greeting.ts";
import type { HandshakeResponse } from "./handshake-response.ts";
import { areStale, type LoginSecrets, readSecrets } from "./login-secrets.ts";
import { IdleWatch } from "./idle-watch.ts";
import { encodePacket, type PacketChannel } from "./packet-channel.ts";
import { askRole, requireRole } from "./role.ts";
import { type Link, type LoggedIn, type LoginParts, logIn, openLink } from "./upstream-login.ts";

const COM_QUIT = 0x01;
const ACCESS_DENIED = 1045;
/** `utf8mb4_general_ci`, which every server since 5.5 has. */
const CHECK_CHARSET = 45;

/**
 * MySQL and MariaDB. The server speaks first, so the upstream is connected to before the client is greeted; then the client's choices are
 * what the upstream login is made with, in the name that is configured. After that the bytes pass, but for COM_CHANGE_USER.
 */
export const mysqlProtocol: MakeProtocol<MysqlListenerConfig> = (listener, { credentials }) => {
  const parts: LoginParts = { listener, credentials };
  return {
    kind: "wire",
    serve: (client, session) => serve(client, session, parts),
    check: (target, signal) => check(target, parts, signal),
  };
};

async function serve(client: Wire, session: Session, parts: LoginParts): Promise<void> {
  const front = new ClientFront(client, parts);
  try {
    using lease = await connect(front, session, parts);
    const { loggedIn, response } = lease.value;
    const changed = (secrets: LoginSecrets["used"], who: Pick<HandshakeResponse, "user" | "database">): void => {
      session.used(secrets);
      note(session, who, parts);
    };
    changed(loggedIn.secrets.used, response);
    front.accept(loggedIn.ok);
    const relay = new ChangeUserRelay({ client, loggedIn, response, parts, changed });
    await session.splice(client, loggedIn.link.packets.wire, {
      fromClient: relay.fromClient,
      fromUpstream: relay.fromUpstream,
      ...pauses(relay, loggedIn.ok, parts),
    });
    if (relay.failure !== undefined) throw relay.failure;
  } catch (cause) {
    if (cause instanceof AmbassadorError) await front.refuse(cause);
    else client.destroy();
    throw cause;
  }
}

/** Where a session may have to end before its client ends it: not within a transaction. */
function pauses(relay: ChangeUserRelay, ok: Buffer, { listener }: LoginParts): Splice {
  if (listener.login.maxAgeMs === undefined) return {};
  const watch = new IdleWatch();
  watch.see(encodePacket(0, ok));
  const fromUpstream = (chunk: Buffer): Buffer => {
    const sent = relay.fromUpstream(chunk);
    watch.see(sent);
    return sent;
  };
  return { fromUpstream, isPause: () => watch.isIdle };
}

async function connect(front: ClientFront, session: Session, parts: LoginParts): Promise<Lease<Entry>> {
  const onBehalfOf = { client: session.client, local: session.local };
  const respond = (greeting: Greeting): Promise<HandshakeResponse> => front.greet(greeting);
  const open: Open<Entry> = (target, signal, wanted) => logInAt(target, { parts, onBehalfOf, respond, wanted }, abortSignalOf(signal));
  try {
    return await session.connect(open);
  } catch (cause) {
    if (!(cause instanceof SlowClient)) throw cause;
    await front.untilResponded();
    return await session.connect(open);
  }
}

interface Visit {
  readonly parts: LoginParts;
  readonly onBehalfOf: OnBehalfOf | undefined;
  /** What to say to a server that greets so. */
  readonly respond: (greeting: Greeting) => Promise<HandshakeResponse>;
  /** The role that the server must be found in. */
  readonly wanted: Role | undefined;
}

/** A session of an upstream, and what the client said that it was made with. */
interface Entry {
  readonly loggedIn: LoggedIn;
  readonly response: HandshakeResponse;
}

/** The whole way to a session at one target. A refusal may come from a Secret that has changed a moment ago: then once more, with the new one. */
async function logInAt(target: Target, visit: Visit, signal: AbortSignal): Promise<Entry> {
  const { parts } = visit;
  const secrets = readSecrets(parts.listener.login, parts.credentials);
  try {
    return await logInOnce(target, visit, { secrets, signal });
  } catch (cause) {
    if (!(cause instanceof LoginError && cause.server.errno === ACCESS_DENIED)) throw cause;
    const now = readSecrets(parts.listener.login, parts.credentials);
    if (!areStale(secrets, now)) throw cause;
    return await logInOnce(target, visit, { secrets: now, signal });
  }
}

async function logInOnce(
  target: Target,
  { parts, onBehalfOf, respond, wanted }: Visit,
  { secrets, signal }: { readonly secrets: LoggedIn["secrets"]; readonly signal: AbortSignal },
): Promise<Entry> {
  const link = await openLink(target, parts, onBehalfOf, signal);
  return await abortable(link.packets.wire, signal, async () => {
    const response = await respond(link.greeting).catch(async (cause: unknown) => {
      await leave(link, secrets, parts);
      throw cause;
    });
    const loggedIn = await logIn(link, response, secrets, parts);
    if (wanted !== undefined) requireRole(await askRole(link.packets, target.endpoint), wanted, target.endpoint);
    return { loggedIn, response };
  });
}

/**
 * Goes from a server for which there is no client: with a login. A server counts the handshakes that are broken off, and blocks the host
 * that has too many of them in a row (`max_connect_errors`): somebody's probe of our port, every few seconds, must not bring that about.
 */
async function leave(link: Link, secrets: LoginSecrets, parts: LoginParts): Promise<void> {
  const late = abortAfter(parts.listener.upstream.connectMs / 4);
  try {
    await abortable(link.packets.wire, late, async () => {
      await logIn(link, responseOfCheck(link.greeting.capabilities), secrets, parts);
      await quit(link.packets);
    });
  } catch {
    // It was a courtesy.
  }
}

async function quit(packets: PacketChannel): Promise<void> {
  packets.restart();
  packets.write(Buffer.of(COM_QUIT));
  await sayFarewell(packets.wire);
}

/** A login and a question for the role. Without a user name of our own, only the greeting: there is no client to have one. */
async function check(target: Target, parts: LoginParts, signal: AbortSignal): Promise<Role | undefined> {
  if (parts.listener.login.username === undefined) {
    const link = await openLink(target, parts, undefined, signal);
    link.packets.wire.destroy();
    return undefined;
  }
  const visit: Visit = {
    parts,
    onBehalfOf: undefined,
    wanted: undefined,
    respond: ({ capabilities }) => Promise.resolve(responseOfCheck(capabilities)),
  };
  const { loggedIn } = await logInAt(target, visit, signal);
  const { packets } = loggedIn.link;
  return await abortable(packets.wire, signal, async () => {
    const role = await askRole(packets, target.endpoint).catch((cause: unknown) => {
      const mayBeSilent = parts.listener.upstream.target === "any" && cause instanceof AmbassadorError && cause.code === "UPSTREAM_ROLE";
      if (mayBeSilent) return undefined;
      throw cause;
    });
    await quit(packets);
    return role;
  });
}

function responseOfCheck({ base }: Greeting["capabilities"]): HandshakeResponse {
  const nothing = Buffer.alloc(0);
  return {
    capabilities: {
      base: (base & capability.MYSQL) | capability.PROTOCOL_41 | capability.TRANSACTIONS | capability.SECURE_CONNECTION,
      mariadb: 0,
    },
    maxPacketBytes: 2 ** 24 - 1,
    charset: CHECK_CHARSET,
    user: nothing,
    auth: nothing,
    database: undefined,
    plugin: "",
    attributes: undefined,
  };
}

function note(session: Session, { user, database }: Pick<HandshakeResponse, "user" | "database">, { listener }: LoginParts): void {
  const name = listener.database ?? (database?.toString() || undefined);
  session.note({ ...(user.length === 0 ? {} : { user: user.toString() }), ...(name === undefined ? {} : { database: name }) });
}
