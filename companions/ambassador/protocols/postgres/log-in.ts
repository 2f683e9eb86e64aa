import { AmbassadorError } from "../../errors.ts";
import type { Wire } from "../../flow/wire.ts";
import type { Role } from "../../upstream/upstream.ts";
import { authenticate, type Authentication } from "./authenticate.ts";
import { refusalError } from "./error-response.ts";
import { cString, formatMessage, MessageReader, messageType, parseParameterStatus, printable } from "./messages.ts";
import { formatStartup, NEWEST_MINOR, type StartupMessage } from "./startup-message.ts";

/** An upstream that is ready for queries. */
export interface Greeting {
  /** What the client is to read: from a NegotiateProtocolVersion, if any, and AuthenticationOk to ReadyForQuery. */
  readonly bytes: Buffer;
  /** The body of BackendKeyData; undefined where the server sends none. */
  readonly cancelKey: Buffer | undefined;
  /** Undefined where the server does not tell by itself, and nobody wanted to know. */
  readonly role: Role | undefined;
}

const authenticationOk = formatMessage("R", Buffer.alloc(4));

/**
 * Sends the startup packet, logs in, and reads until the server is ready. Throws what `authenticate` throws, WireEnded.
 */
export async function logIn(
  wire: Wire,
  startup: StartupMessage,
  login: Authentication & { readonly wantsRole: boolean },
): Promise<Greeting> {
  // A newer version's login may have messages that this program would not understand: the client hears which one is known.
  const minor = Math.min(startup.minor, NEWEST_MINOR);
  wire.write(formatStartup({ ...startup, minor }));
  const reader = new MessageReader(wire);
  const before = await authenticate(wire, reader, login);
  const isNegotiated = before.some((message) => message[0] === messageType.negotiateProtocolVersion);
  if (minor !== startup.minor && !isNegotiated) before.unshift(negotiateProtocolVersion(minor));
  const { messages, cancelKey, settings } = await readUntilReady(reader, login.endpoint);
  const role = roleOf(settings) ?? (login.wantsRole ? await askRole(wire, reader, login.endpoint) : undefined);
  reader.release();
  return { bytes: Buffer.concat([...before, authenticationOk, ...messages]), cancelKey, role };
}

async function readUntilReady(
  reader: MessageReader,
  endpoint: string,
): Promise<{ messages: Buffer[]; cancelKey: Buffer | undefined; settings: Map<string, string> }> {
  const messages: Buffer[] = [];
  const settings = new Map<string, string>();
  let cancelKey: Buffer | undefined;
  for (;;) {
    const { type, body, raw } = await reader.next();
    messages.push(raw);
    switch (type) {
      case messageType.readyForQuery:
        return { messages, cancelKey, settings };
      case messageType.backendKeyData:
        cancelKey = body;
        break;
      case messageType.parameterStatus:
        settings.set(...parseParameterStatus(body));
        break;
      case messageType.notice:
        break;
      case messageType.error:
        throw refusalError(endpoint, Buffer.from(raw), body);
      default:
        throw new AmbassadorError("UPSTREAM_PROTOCOL", `The upstream ${endpoint} sent a message "${printable(type)}" before it was ready`);
    }
  }
}

/** As libpq, from what PostgreSQL 14 and newer report. */
function roleOf(settings: ReadonlyMap<string, string>): Role | undefined {
  const flags = [settings.get("in_hot_standby"), settings.get("default_transaction_read_only")];
  if (flags.includes("on")) return "read-only";
  return flags.includes(undefined) ? undefined : "read-write";
}

/** As libpq for older servers: asks, before the client has its turn. */
async function askRole(wire: Wire, reader: MessageReader, endpoint: string): Promise<Role> {
  wire.write(formatMessage("Q", cString("SHOW transaction_read_only")));
  let role: Role = "read-write";
  for (;;) {
    const { type, body, raw } = await reader.next();
    if (type === messageType.error) throw refusalError(endpoint, Buffer.from(raw), body);
    if (type === messageType.dataRow && body.toString("latin1", 6) === "on") role = "read-only";
    if (type === messageType.readyForQuery) return role;
  }
}

/** NegotiateProtocolVersion: the newest minor version, and no option that is not known. */
function negotiateProtocolVersion(minor: number): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt32BE((3 << 16) | minor);
  return formatMessage("v", body);
}
