import type { MysqlListenerConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { abortable } from "../../flow/abortable.ts";
import { AmbassadorError } from "../../errors.ts";
import { dialUpstream, type OnBehalfOf } from "../../upstream/dial-upstream.ts";
import { startUpstreamTls } from "../../upstream/upstream-tls.ts";
import type { Target } from "../../upstream/upstream.ts";
import { Authentication, type Channel } from "./authentication.ts";
import { adjust, type Capabilities, capability, has, shared } from "./capabilities.ts";
import { ERR, LoginError, parseError } from "./error-packet.ts";
import { type Greeting, parseGreeting } from "./greeting.ts";
import { encodeHandshakeResponse, encodeSslRequest, type HandshakeResponse } from "./handshake-response.ts";
import type { LoginSecrets } from "./login-secrets.ts";
import { PacketChannel, parsing } from "./packet-channel.ts";

export interface LoginParts {
  readonly listener: MysqlListenerConfig;
  readonly credentials: Credentials;
}

/** A server that has greeted and waits for an answer. */
export interface Link {
  readonly target: Target;
  readonly packets: PacketChannel;
  readonly greeting: Greeting;
}

/** A login's result: the server's OK, and what a change of user needs. */
export interface LoggedIn {
  readonly link: Link;
  readonly ok: Buffer;
  readonly capabilities: Capabilities;
  readonly channel: Channel;
  readonly secrets: LoginSecrets;
}

/** Connects and reads the greeting. Throws LoginError where the server says no at once, UPSTREAM_UNREACHABLE, UPSTREAM_PROTOCOL. */
export async function openLink(
  target: Target,
  { listener }: LoginParts,
  onBehalfOf: OnBehalfOf | undefined,
  signal: AbortSignal,
): Promise<Link> {
  const wire = await dialUpstream(target, listener.upstream, onBehalfOf, signal);
  const packets = new PacketChannel(wire, "upstream");
  return await abortable(wire, signal, async () => {
    const first = await packets.read();
    const greeting = parsing("upstream", () => {
      if (first[0] === ERR) throw new LoginError(target.endpoint, parseError(first));
      return parseGreeting(first);
    });
    return { target, packets, greeting };
  });
}

/** Logs in over a fresh link, as the client asked but for user, password and database. Throws LoginError and Authentication's errors. */
export async function logIn(link: Link, client: HandshakeResponse, secrets: LoginSecrets, parts: LoginParts): Promise<LoggedIn> {
  const { packets, greeting } = link;
  const { listener, credentials } = parts;
  const database = listener.database === undefined ? client.database : Buffer.from(listener.database);
  const wantsTls = decideTls(link, parts);
  const capabilities = upstreamCapabilities(client.capabilities, greeting.capabilities, { wantsTls, hasDatabase: database !== undefined });
  if (packets.wire.buffered > 0) throw new AmbassadorError("UPSTREAM_PROTOCOL", `${link.target.endpoint} spoke out of turn`);
  const channel = await secureChannel(link, { ...client, capabilities }, parts);
  const authentication = new Authentication({
    endpoint: link.target.endpoint,
    password: secrets.password,
    channel,
    serverKey: () => serverKey(listener, credentials),
    mayAskForKey: listener.allowPublicKeyRetrieval,
  });
  const { plugin, reply } = parsing("upstream", () => authentication.begin(greeting.plugin, greeting.salt));
  packets.write(encodeHandshakeResponse({ ...client, capabilities, user: secrets.user ?? client.user, auth: reply, database, plugin }));
  for (;;) {
    const packet = await packets.read();
    const answer = parsing("upstream", () => authentication.answer(packet));
    if (answer.kind === "accepted") return { link, ok: packet, capabilities, channel, secrets };
    if (answer.kind === "send") packets.write(answer.payload);
  }
}

/** The server's RSA key as configured, as the file says now. */
export function serverKey({ serverPublicKeyFile }: MysqlListenerConfig, credentials: Credentials): string | undefined {
  return serverPublicKeyFile === undefined ? undefined : credentials.secret({ kind: "file", path: serverPublicKeyFile }).text;
}

/** A UNIX socket needs no TLS: the kernel says who may stand behind it. Nothing has been told to the server before this has passed. */
function decideTls({ target, greeting }: Link, { listener }: LoginParts): boolean {
  const { tls } = listener.upstream;
  if (tls === undefined || tls.mode === "disable" || target.address.kind === "unix") return false;
  if (has(greeting.capabilities, capability.SSL)) return true;
  if (tls.mode === "prefer") return false;
  throw new AmbassadorError("UPSTREAM_UNTRUSTED", `${target.endpoint} does not speak TLS`);
}

async function secureChannel(link: Link, response: HandshakeResponse, { listener, credentials }: LoginParts): Promise<Channel> {
  const { packets, target } = link;
  const { tls } = listener.upstream;
  if (target.address.kind === "unix") return "local";
  if (tls === undefined || !has(response.capabilities, capability.SSL)) return "plain";
  packets.write(encodeSslRequest(response));
  await startUpstreamTls(packets.wire, target, tls, { credentials });
  return tls.mode === "verify-ca" || tls.mode === "verify-full" ? "verified" : "encrypted";
}

/** What the client chose, so that bytes mean the same on both sides; with what our own part of the login takes. */
function upstreamCapabilities(
  chosen: Capabilities,
  offered: Capabilities,
  { wantsTls, hasDatabase }: { readonly wantsTls: boolean; readonly hasDatabase: boolean },
): Capabilities {
  const always = capability.PROTOCOL_41 | capability.SECURE_CONNECTION;
  const whereOffered = capability.PLUGIN_AUTH | capability.PLUGIN_AUTH_LENENC;
  const set = always | (offered.base & whereOffered) | (wantsTls ? capability.SSL : 0) | (hasDatabase ? capability.CONNECT_WITH_DB : 0);
  const clear = whereOffered | capability.CONNECT_WITH_DB | (has(offered, capability.CONNECT_ATTRS) ? 0 : capability.CONNECT_ATTRS);
  return adjust(shared(chosen), { set, clear });
}
