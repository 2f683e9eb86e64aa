import { abortSignalOf } from "../../flow/cancel.ts";
import type { RedisListenerConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { abortable } from "../../flow/abortable.ts";
import { AmbassadorError } from "../../errors.ts";
import type { OnBehalfOf } from "../../upstream/dial-upstream.ts";
import type { Wire } from "../../flow/wire.ts";
import type { Check, Role, Target } from "../../upstream/upstream.ts";
import type { MakeProtocol, Session } from "../protocol.ts";
import { acceptClientTls } from "../tls/accept-client.ts";
import { openUpstream } from "../tls/open-upstream.ts";
import { logIn, loginCommands, readSecrets, type RedisSecrets } from "./login.ts";
import { refuse } from "./refuse.ts";
import { makeTaps, type RewriteOptions, type Taps } from "./rewrite.ts";

/**
 * Redis, logged in as configured: the application needs no password, and may send a wrong one. Replies pass unparsed; of the commands only
 * lengths and names are read. Works with Redis 6.2 and its like (Valkey); older ones too for applications that send no RESET.
 *
 * The ambassador stands for one server, or for one primary among replicas (`target`). A Redis Cluster's MOVED and ASK, and a Sentinel's
 * answers, name the servers' own addresses and pass as they are: an application that follows them goes past the ambassador. Give it a client
 * without cluster or sentinel mode; MOVED is an error to that one.
 */
export const redisProtocol: MakeProtocol<RedisListenerConfig> = (listener, { credentials }) => {
  const parts = { listener, credentials };
  const check: Check = async (target, signal) => {
    const asksRole = listener.upstream.target !== "any";
    const { wire, role } = await connect(target, { ...parts, onBehalfOf: undefined, asksRole }, signal);
    wire.destroy();
    return role;
  };
  return { kind: "wire", serve: (client, session) => serve(client, session, parts), check };
};

interface Parts {
  readonly listener: RedisListenerConfig;
  readonly credentials: Credentials;
}

async function serve(client: Wire, session: Session, parts: Parts): Promise<void> {
  const { listener, credentials } = parts;
  let isServed = false;
  try {
    await acceptClientTls(client, listener, credentials);
    const onBehalfOf = { client: session.client, local: session.local };
    using lease = await session.connect((target, signal, wanted) => {
      return connectAs(wanted, target, { ...parts, onBehalfOf }, abortSignalOf(signal));
    });
    const { wire, secrets } = lease.value;
    isServed = true;
    session.used(secrets.used);
    session.note({ database: `${listener.database ?? 0}` });
    let refused: AmbassadorError | undefined;
    const onRefused = (): void => {
      refused ??= new AmbassadorError("LOGIN_REFUSED", `${lease.target.endpoint} refused the login after a RESET`);
      for (const side of [client, wire]) side.destroy();
    };
    const onUser = (user: string): void => session.note({ user });
    await session.splice(client, wire, tapsFor(parts, secrets, { onRefused, onUser }));
    if (refused !== undefined) throw refused;
  } catch (cause) {
    if (!isServed && !client.isAtEnd) await refuse(client, cause, session.end.aborted ? 0 : listener.handshakeMs);
    client.destroy();
    throw cause;
  }
}

function tapsFor(
  { listener, credentials }: Parts,
  atLogin: RedisSecrets,
  on: Pick<RewriteOptions, "onRefused" | "onUser">,
): Taps | undefined {
  if (atLogin.auth.length === 0 && listener.database === undefined) return undefined;
  const secrets = (): RedisSecrets => {
    try {
      return readSecrets(listener.login, credentials);
    } catch {
      return atLogin; // the file is gone; what it said may still do
    }
  };
  return makeTaps({ auth: () => secrets().auth, login: () => loginCommands(secrets(), listener.database), ...on });
}

interface Connection {
  readonly wire: Wire;
  readonly secrets: RedisSecrets;
  readonly role: Role | undefined;
  destroy(): void;
}

interface ConnectParts extends Parts {
  readonly onBehalfOf: OnBehalfOf | undefined;
}

async function connectAs(wanted: Role | undefined, target: Target, parts: ConnectParts, signal: AbortSignal): Promise<Connection> {
  const connection = await connect(target, { ...parts, asksRole: wanted !== undefined }, signal);
  if (wanted === undefined || connection.role === wanted) return connection;
  connection.destroy();
  throw new AmbassadorError("UPSTREAM_ROLE", `${target.endpoint} is ${connection.role ?? "of no known role"}, not ${wanted}`);
}

async function connect(target: Target, parts: ConnectParts & { readonly asksRole: boolean }, signal: AbortSignal): Promise<Connection> {
  const { listener, credentials, onBehalfOf } = parts;
  const wire = await openUpstream(target, { upstream: listener.upstream, credentials, onBehalfOf }, signal);
  return await abortable(wire, signal, async () => {
    const { secrets, role } = await logIn(wire, target, parts);
    return { wire, secrets, role, destroy: () => wire.destroy() };
  });
}
