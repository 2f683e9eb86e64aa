import { AmbassadorError } from "../../errors.ts";
import type { Splice } from "../../flow/splice.ts";
import type { Wire } from "../../flow/wire.ts";
import { Authentication } from "./authentication.ts";
import { capability, has } from "./capabilities.ts";
import { type ChangeUser, encodeChangeUser, parseChangeUser } from "./change-user.ts";
import { acceptanceOf, FAST_OK } from "./client-front.ts";
import { CommandFilter } from "./command-filter.ts";
import { clientErrorOf, encodeError } from "./error-packet.ts";
import type { HandshakeResponse } from "./handshake-response.ts";
import { type LoginSecrets, readSecrets } from "./login-secrets.ts";
import { encodePacket, HANDSHAKE_LIMIT_BYTES, parsing } from "./packet-channel.ts";
import { MalformedPacket } from "./payload.ts";
import { nativeScramble } from "./scrambles.ts";
import { type LoggedIn, type LoginParts, serverKey } from "./upstream-login.ts";

/** No server knows it, so each answers with a request to switch to the account's own way, and a fresh salt. */
const UNKNOWN_PLUGIN = "peapod_unknown";
/** What a client may send ahead while its change of user is answered. */
const AHEAD_LIMIT_BYTES = 1024 * 1024;
const NOTHING = Buffer.alloc(0);

export interface RelayParts {
  readonly client: Wire;
  readonly loggedIn: LoggedIn;
  readonly response: HandshakeResponse;
  readonly parts: LoginParts;
  /** Told of each change that was made. */
  readonly changed: (secrets: LoginSecrets["used"], asked: ChangeUser) => void;
}

/** A change of user on its way. */
interface Change {
  readonly authentication: Authentication;
  readonly asked: ChangeUser;
  readonly secrets: LoginSecrets;
  /** Number of the server's next packet. */
  sequence: number;
  /** What the server sent of a packet, and what the client sent behind its command. */
  fromUpstream: Buffer;
  fromClient: Buffer;
}

/**
 * The taps on a connection's bytes. A client's COM_CHANGE_USER is scrambled for our salt and in its own name; in its place goes one in the
 * configured name, the server's questions are answered here, and the client gets the end of it. The server must be idle when the command
 * comes, as it is with every client that waits for its answers before it changes the user.
 */
export class ChangeUserRelay implements Splice {
  readonly #relay: RelayParts;
  readonly #filter = new CommandFilter();
  #change: Change | undefined;
  /** Why the connection was ended here, once it was; the client has been told. */
  failure: AmbassadorError | undefined;

  constructor(relay: RelayParts) {
    this.#relay = relay;
  }

  readonly fromClient = (chunk: Buffer): Buffer => {
    if (this.failure !== undefined) return NOTHING;
    try {
      if (this.#change === undefined) return this.#pass(chunk);
      return this.#sendAhead(this.#change, chunk);
    } catch (cause) {
      return this.#fail(cause);
    }
  };

  readonly fromUpstream = (chunk: Buffer): Buffer => {
    if (this.failure !== undefined) return NOTHING;
    const change = this.#change;
    if (change === undefined) return chunk;
    change.fromUpstream = Buffer.concat([change.fromUpstream, chunk]);
    try {
      return this.#hear(change);
    } catch (cause) {
      return this.#fail(cause);
    }
  };

  #pass(chunk: Buffer): Buffer {
    const { pass, changeUser, rest = NOTHING } = this.#filter.filter(chunk);
    return changeUser === undefined ? pass : Buffer.concat([pass, this.#begin(changeUser, rest)]);
  }

  #sendAhead(change: Change, chunk: Buffer): Buffer {
    if (change.fromClient.length + chunk.length > AHEAD_LIMIT_BYTES)
      throw new AmbassadorError("CLIENT_PROTOCOL", "The client sends too much before its change of user is answered");
    change.fromClient = Buffer.concat([change.fromClient, chunk]);
    return NOTHING;
  }

  /** The command in our own name. */
  #begin(payload: Buffer, rest: Buffer): Buffer {
    const { loggedIn, response, parts } = this.#relay;
    const { listener, credentials } = parts;
    const { link, capabilities, channel } = loggedIn;
    const asked = parsing("client", () => parseChangeUser(payload, response.capabilities));
    if (acceptanceOf(asked) === "unknown")
      throw new AmbassadorError("CLIENT_PROTOCOL", "The client changes the user in a way that is not supported");
    const secrets = readSecrets(listener.login, credentials);
    const authentication = new Authentication({
      endpoint: link.target.endpoint,
      password: secrets.password,
      channel,
      serverKey: () => serverKey(listener, credentials),
      mayAskForKey: listener.allowPublicKeyRetrieval,
    });
    this.#change = { authentication, asked, secrets, sequence: 1, fromUpstream: NOTHING, fromClient: rest };
    const command = {
      ...asked,
      user: secrets.user ?? asked.user,
      auth: has(capabilities, capability.PLUGIN_AUTH) ? NOTHING : nativeScramble(secrets.password, link.greeting.salt),
      database: listener.database === undefined ? asked.database : Buffer.from(listener.database),
      charset: asked.charset ?? response.charset,
      plugin: UNKNOWN_PLUGIN,
    };
    return encodePacket(0, encodeChangeUser(command, capabilities));
  }

  /** Answers each whole packet of the server, until it is content or not. */
  #hear(change: Change): Buffer {
    for (;;) {
      const bytes = change.fromUpstream;
      if (bytes.length < 4) return NOTHING;
      const length = bytes.readUIntLE(0, 3);
      const isNext = bytes[3] === change.sequence;
      if (!isNext || length > HANDSHAKE_LIMIT_BYTES) throw new MalformedPacket("A packet that is no answer to a change of user");
      if (bytes.length < 4 + length) return NOTHING;
      change.fromUpstream = bytes.subarray(4 + length);
      change.sequence = (change.sequence + 1) & 0xff;
      const payload = bytes.subarray(4, 4 + length);
      const answer = change.authentication.answer(payload);
      if (answer.kind === "accepted") return this.#finish(change, payload);
      if (answer.kind === "send") {
        this.#relay.loggedIn.link.packets.wire.write(encodePacket(change.sequence, answer.payload));
        change.sequence = (change.sequence + 1) & 0xff;
      }
    }
  }

  #finish({ asked, secrets, fromUpstream, fromClient }: Change, ok: Buffer): Buffer {
    this.#change = undefined;
    this.#relay.changed(secrets.used, asked);
    if (fromClient.length > 0) this.#relay.loggedIn.link.packets.wire.write(this.fromClient(fromClient));
    const answer = acceptanceOf(asked) === "fast-ok" ? [encodePacket(1, FAST_OK), encodePacket(2, ok)] : [encodePacket(1, ok)];
    return Buffer.concat([...answer, fromUpstream]);
  }

  /** A session whose change of user failed is nobody's: the client is told, and both sides end. */
  #fail(cause: unknown): Buffer {
    const error = errorOf(cause);
    const { client, loggedIn } = this.#relay;
    const upstream = loggedIn.link.packets.wire;
    this.failure = error;
    client.write(encodePacket(1, encodeError(clientErrorOf(error), true)));
    client.end(() => upstream.destroy());
    return NOTHING;
  }
}

function errorOf(cause: unknown): AmbassadorError {
  if (cause instanceof AmbassadorError) return cause;
  if (!(cause instanceof MalformedPacket)) throw cause;
  return new AmbassadorError("UPSTREAM_PROTOCOL", `Cannot read the upstream's answer to a change of user: ${cause.message}`, { cause });
}
