import { createHash } from "node:crypto";
import type { PostgresListenerConfig } from "../../config/config.ts";
import type { Secret } from "../../../frame/credentials/secret.ts";
import { AmbassadorError } from "../../errors.ts";
import type { Wire } from "../../flow/wire.ts";
import { tlsServerEndPoint } from "./channel-binding.ts";
import type { DerivedKeys } from "./derived-keys.ts";
import { refusalError } from "./error-response.ts";
import { cString, formatMessage, type Message, type MessageReader, messageType, printable, splitStrings } from "./messages.ts";
import { type ChannelBinding, ScramExchange } from "./scram.ts";

/** Who logs in where, and how far the server is gone along with. */
export interface Authentication {
  readonly endpoint: string;
  readonly user: Buffer;
  readonly password: Secret | undefined;
  readonly keys: DerivedKeys;
  readonly rules: Pick<PostgresListenerConfig, "channelBinding" | "weakestAuth">;
}

const request = { ok: 0, cleartext: 3, md5: 5, sasl: 10, saslContinue: 11, saslFinal: 12 } as const;
const PLUS = "SCRAM-SHA-256-PLUS";
const PLAIN = "SCRAM-SHA-256";
/** The codes of what this program does not speak. */
const otherMethods: Readonly<Record<number, string>> = { 2: "Kerberos V5", 6: "SCM credentials", 7: "GSSAPI", 8: "GSSAPI", 9: "SSPI" };

/**
 * Answers the server's questions until it says AuthenticationOk, and gives what else it said before (a NegotiateProtocolVersion, notices).
 * Throws LOGIN_REFUSED, UPSTREAM_BUSY for the server's refusals; UPSTREAM_UNTRUSTED for a server that asks for more than the rules allow,
 * or that does not prove to know the password where SCRAM began, or nothing weaker will do (as libpq's require_auth): whoever says
 * AuthenticationOk at once has our client's queries, if not the password; UPSTREAM_PROTOCOL.
 */
export async function authenticate(wire: Wire, reader: MessageReader, login: Authentication): Promise<Buffer[]> {
  const others: Buffer[] = [];
  const next = async (): Promise<{ code: number; data: Buffer }> => {
    for (;;) {
      const message = await reader.next();
      if (message.type === messageType.authentication && message.body.length >= 4)
        return { code: message.body.readUInt32BE(0), data: message.body.subarray(4) };
      others.push(expectOther(message, login.endpoint));
    }
  };
  let isProven = false;
  let isBound = false;
  let isAsked = false;
  for (;;) {
    const { code, data } = await next();
    if (code === request.ok) {
      if (login.rules.channelBinding === "require" && !isBound)
        throw untrusted(login, "logged in without the channel binding that the configuration requires");
      if (!isProven && login.password !== undefined && login.rules.weakestAuth === "scram-sha-256")
        throw untrusted(login, "asks for no proof and gives none, and the configuration allows nothing weaker than scram-sha-256");
      return others;
    }
    if (isAsked) throw new AmbassadorError("UPSTREAM_PROTOCOL", `The upstream ${login.endpoint} asked for a second proof`);
    isAsked = true;
    switch (code) {
      case request.cleartext:
        wire.write(formatMessage("p", cString(passwordFor(login, "password"))));
        break;
      case request.md5:
        wire.write(formatMessage("p", cString(md5Password(passwordFor(login, "md5"), login.user, data))));
        break;
      case request.sasl:
        isBound = await proveByScram(wire, next, data, login);
        isProven = true;
        break;
      default:
        throw refused(login, `asks for ${otherMethods[code] ?? `an unknown method (${code})`}, which the ambassador does not speak`);
    }
  }
}

/** What may stand between the questions; an error ends the login. */
function expectOther(message: Message, endpoint: string): Buffer {
  const { type, body, raw } = message;
  if (type === messageType.error) throw refusalError(endpoint, Buffer.from(raw), body);
  if (type === messageType.notice || type === messageType.negotiateProtocolVersion) return raw;
  throw new AmbassadorError("UPSTREAM_PROTOCOL", `The upstream ${endpoint} sent a message "${printable(type)}" before the login was done`);
}

async function proveByScram(
  wire: Wire,
  next: () => Promise<{ code: number; data: Buffer }>,
  mechanisms: Buffer,
  login: Authentication,
): Promise<boolean> {
  const binding = chooseBinding(wire, (splitStrings(mechanisms) ?? []).map(String), login);
  const password = secretFor(login);
  const exchange = new ScramExchange(binding);
  const first = Buffer.from(exchange.clientFirst);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(first.length);
  const isBound = binding.kind === "tls-server-end-point";
  wire.write(formatMessage("p", cString(isBound ? PLUS : PLAIN), length, first));
  const serverFirst = await expect(next, request.saslContinue, login);
  const answer = await exchange.clientFinal(serverFirst, (salt, iterations) => login.keys.get(password, salt, iterations));
  wire.write(formatMessage("p", Buffer.from(answer)));
  exchange.verify(await expect(next, request.saslFinal, login));
  return isBound;
}

/** AuthenticationOk in the place of the server's proof is what somebody says who has none. */
async function expect(next: () => Promise<{ code: number; data: Buffer }>, wanted: number, login: Authentication): Promise<string> {
  const { code, data } = await next();
  if (code === wanted) return data.toString("latin1");
  if (code === request.ok) throw untrusted(login, "said that the login is done before it proved to know the password");
  throw new AmbassadorError("UPSTREAM_PROTOCOL", `The upstream ${login.endpoint} sent authentication code ${code} in place of ${wanted}`);
}

/** As libpq: bound to the channel where both can; where only we can, the server is told so, and sees if somebody took its offer away. */
function chooseBinding(wire: Wire, offered: readonly string[], login: Authentication): ChannelBinding {
  const { channelBinding } = login.rules;
  const { tls } = wire;
  if (tls === undefined) {
    if (offered.includes(PLUS)) throw untrusted(login, "offered to bind the login to TLS on a connection without it");
    if (channelBinding === "require") throw untrusted(login, "is not connected with TLS, which the required channel binding needs");
  }
  if (offered.includes(PLUS) && tls !== undefined && channelBinding !== "disable") {
    const certificate = tls.getPeerX509Certificate();
    const data = certificate && tlsServerEndPoint(certificate);
    if (data !== undefined) return { kind: "tls-server-end-point", data };
    if (channelBinding === "require") throw untrusted(login, "has a certificate whose signature allows no channel binding");
    // Nobody verified it: somebody in between may have chosen it, so as to be told nothing of the server's offer. libpq gives up as well.
    if (!tls.authorized) throw untrusted(login, "shows an unverified certificate whose signature allows no channel binding");
    if (offered.includes(PLAIN)) return { kind: "none" }; // "not offered" would be a lie, and refused
  }
  if (!offered.includes(PLAIN))
    throw refused(login, `offers only ${offered.join(", ") || "no method"}, which the ambassador does not speak`);
  if (channelBinding === "require") throw untrusted(login, "does not offer the channel binding that the configuration requires");
  const canBind = tls !== undefined && channelBinding === "prefer";
  return { kind: canBind && !offered.includes(PLUS) ? "not-offered" : "none" };
}

/** The password for a method that shows it, or a hash that stands for it, to the server. */
function passwordFor(login: Authentication, method: "password" | "md5"): string {
  const strength = ["password", "md5", "scram-sha-256"];
  if (login.rules.channelBinding === "require") throw untrusted(login, `asks for ${method}, which cannot be bound to the channel`);
  if (strength.indexOf(method) < strength.indexOf(login.rules.weakestAuth))
    throw untrusted(login, `asks for ${method}, and the configuration allows nothing weaker than ${login.rules.weakestAuth}`);
  return secretFor(login).text;
}

function secretFor(login: Authentication): Secret {
  if (login.password === undefined) throw refused(login, "asks for a password, and none is configured");
  return login.password;
}

/** `md5` and the hash of the salt after the hash that the server has stored. */
function md5Password(password: string, user: Buffer, salt: Buffer): string {
  if (salt.length !== 4) throw new AmbassadorError("UPSTREAM_PROTOCOL", "The upstream sent an MD5 salt that is not four bytes long");
  const stored = createHash("md5").update(password).update(user).digest("hex");
  return `md5${createHash("md5").update(stored).update(salt).digest("hex")}`;
}

function untrusted(login: Authentication, what: string): AmbassadorError {
  return new AmbassadorError("UPSTREAM_UNTRUSTED", `The upstream ${login.endpoint} ${what}`);
}

function refused(login: Authentication, what: string): AmbassadorError {
  return new AmbassadorError("LOGIN_REFUSED", `The upstream ${login.endpoint} ${what}`);
}
