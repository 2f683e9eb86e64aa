import type { SecretSource } from "../../../frame/credentials/secret.ts";
import type { RedisListenerConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { AmbassadorError } from "../../errors.ts";
import { type Wire, WireEnded } from "../../flow/wire.ts";
import type { Role, Target } from "../../upstream/upstream.ts";
import { encodeCommand, readReply, type Reply } from "./resp.ts";

/** The user and the password as their files say now, with what a session tells of them. */
export interface RedisSecrets {
  /** As AUTH takes it: none, a password, or a user and a password. */
  readonly auth: readonly string[];
  readonly used: readonly { readonly source: SecretSource; readonly version: number }[];
}

/** Throws CREDENTIAL_MISSING. Without a password in the configuration there is nothing to say: the application logs in by itself. */
export function readSecrets({ username, password }: RedisListenerConfig["login"], credentials: Credentials): RedisSecrets {
  if (password === undefined) return { auth: [], used: [] };
  const sources = username === undefined ? [password] : [username, password];
  const secrets = sources.map((source) => ({ source, ...credentials.secret(source) }));
  return { auth: secrets.map(({ text }) => text), used: secrets.map(({ source, version }) => ({ source, version })) };
}

/** What makes a new connection, or one that was RESET, the configured user's in the configured database. */
export function loginCommands(secrets: RedisSecrets, database: number | undefined): Buffer[] {
  return [
    ...(secrets.auth.length === 0 ? [] : [encodeCommand("AUTH", ...secrets.auth)]),
    ...(database === undefined ? [] : [encodeCommand("SELECT", `${database}`)]),
  ];
}

interface LoggedIn {
  readonly secrets: RedisSecrets;
  /** Only where it was asked for. */
  readonly role: Role | undefined;
}

/**
 * Logs in, in one round trip, and makes sure that the server takes commands. Where the password is refused and the file has another one by
 * now, that is tried too. Throws CREDENTIAL_MISSING, LOGIN_REFUSED, UPSTREAM_BUSY (loading, too many clients, a script that runs, a replica
 * without its primary), UPSTREAM_PROTOCOL. No message has a credential in it, whatever the server says.
 */
export async function logIn(
  wire: Wire,
  target: Target,
  { listener, credentials, asksRole }: { listener: RedisListenerConfig; credentials: Credentials; asksRole: boolean },
): Promise<LoggedIn> {
  const secrets = readSecrets(listener.login, credentials);
  try {
    return await tryLogin(wire, target, { secrets, database: listener.database, asksRole });
  } catch (cause) {
    if (!(cause instanceof AmbassadorError) || cause.code !== "LOGIN_REFUSED") throw cause;
    const now = readSecrets(listener.login, credentials);
    if (now.auth.join("\0") === secrets.auth.join("\0")) throw cause;
    return await tryLogin(wire, target, { secrets: now, database: listener.database, asksRole });
  }
}

async function tryLogin(
  wire: Wire,
  target: Target,
  { secrets, database, asksRole }: { secrets: RedisSecrets; database: number | undefined; asksRole: boolean },
): Promise<LoggedIn> {
  const commands = loginCommands(secrets, database);
  wire.write(Buffer.concat([...commands, encodeCommand("PING"), ...(asksRole ? [encodeCommand("ROLE")] : [])]));
  const replies: Reply[] = [];
  const count = commands.length + (asksRole ? 2 : 1);
  try {
    while (replies.length < count) replies.push(await readReply(wire));
  } catch (cause) {
    if (!(cause instanceof WireEnded)) throw cause;
    judge(replies, { secrets, target, commands: commands.length }); // "max number of clients reached" comes instead of the first answer
    throw new AmbassadorError("UPSTREAM_PROTOCOL", `${target.endpoint} ended during the login`, { cause });
  }
  judge(replies, { secrets, target, commands: commands.length });
  return { secrets, role: asksRole ? roleOf(replies.at(-1)) : undefined };
}

function judge(
  replies: readonly Reply[],
  { secrets, target, commands }: { secrets: RedisSecrets; target: Target; commands: number },
): void {
  for (const [index, reply] of replies.entries()) {
    if (reply.kind !== "error") continue;
    const said = withoutSecrets(reply.text, secrets);
    if (isBusy(reply.text)) throw new AmbassadorError("UPSTREAM_BUSY", `${target.endpoint} takes nobody now: ${said}`);
    const isRefused = index < commands || /^DENIED\b/.test(reply.text) || (secrets.auth.length > 0 && /^NOAUTH\b/.test(reply.text));
    if (isRefused) throw new AmbassadorError("LOGIN_REFUSED", `${target.endpoint} refused the login: ${said}`);
  }
}

function isBusy(text: string): boolean {
  return /^(?:LOADING|MASTERDOWN|BUSY|CLUSTERDOWN|ERR max number of clients)\b/.test(text);
}

/** A server may well repeat what it was told: one that does not know the command does, as far as its line goes, which may end within a secret. */
function withoutSecrets(text: string, { auth }: RedisSecrets): string {
  const known = text.replace(/,? with args beginning with.*/s, "");
  const hidden = auth.filter((secret) => secret !== "").reduce((rest, secret) => rest.replaceAll(secret, "***"), known);
  return hidden.slice(0, 200).replaceAll(/[^ -~]/g, "?");
}

/** ROLE's first item; a replica that is not connected to its primary is one all the same. Undefined for a sentinel, or where ROLE is not allowed. */
function roleOf(reply: Reply | undefined): Role | undefined {
  const first = reply?.kind === "array" ? reply.items[0] : undefined;
  if (first?.kind !== "bulk") return undefined;
  if (first.text === "master") return "read-write";
  return first.text === "slave" ? "read-only" : undefined;
}
