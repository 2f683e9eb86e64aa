import type { SecretSource, Secret } from "../../../frame/credentials/secret.ts";
import { startTimer } from "@peapod/kit";
import type { PostgresListenerConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { AmbassadorError } from "../../errors.ts";
import { dialUpstream, type OnBehalfOf } from "../../upstream/dial-upstream.ts";
import { type Wire, WireEnded } from "../../flow/wire.ts";
import type { Role, Target } from "../../upstream/upstream.ts";
import { formatCancel } from "./client-request.ts";
import { DerivedKeys } from "./derived-keys.ts";
import { encryptUpstream } from "./encrypt-upstream.ts";
import { isAboutCredentials, UpstreamRefusal, withoutName } from "./error-response.ts";
import { type Greeting, logIn } from "./log-in.ts";
import { formatMessage } from "./messages.ts";
import { parameterOf, type StartupMessage, withParameters } from "./startup-message.ts";

/** A server, logged in to, and what it said. */
export interface UpstreamSession {
  readonly wire: Wire;
  readonly greeting: Greeting;
  readonly identity: Identity;
}

/** Who logs in, and to what. */
export interface Identity {
  readonly user: Buffer;
  readonly database: Buffer;
  readonly password: Secret | undefined;
  /** What it was made from. */
  readonly secrets: readonly { readonly source: SecretSource; readonly version: number }[];
}

interface OpenOptions {
  /** Undefined for a health check. */
  readonly onBehalfOf: OnBehalfOf | undefined;
  /** The role that the server must have; undefined: any. */
  readonly wanted: Role | undefined;
  readonly signal: AbortSignal;
}

/** Opens sessions, health checks and cancel requests with the credentials of one listener. */
export class UpstreamSessions {
  readonly #listener: PostgresListenerConfig;
  readonly #credentials: Credentials;
  readonly #keys = new DerivedKeys();

  constructor(listener: PostgresListenerConfig, credentials: Credentials) {
    this.#listener = listener;
    this.#credentials = credentials;
  }

  /**
   * Logs in at a target in place of the client. Where the credentials are refused and their files have changed meanwhile, once more.
   * Throws the AmbassadorErrors of dialling, TLS and login, UPSTREAM_ROLE, or the signal's reason.
   */
  async open(target: Target, startup: StartupMessage, options: OpenOptions): Promise<UpstreamSession> {
    const identity = this.#identify(startup);
    try {
      return await this.#logIn(target, startup, identity, options);
    } catch (error) {
      if (!(error instanceof AmbassadorError && error.cause instanceof UpstreamRefusal && isAboutCredentials(error.cause.sqlState)))
        throw error;
      const fresh = this.#identify(startup);
      if (fresh.secrets.every(({ version }, index) => version === identity.secrets[index]?.version)) throw error;
      return await this.#logIn(target, startup, fresh, options);
    }
  }

  /** Logs in as a health check does, and out again; gives the role where the server told it. */
  async check(target: Target, signal: AbortSignal): Promise<Role | undefined> {
    const { username } = this.#listener.login;
    const startup: StartupMessage = {
      minor: 0,
      parameters: [
        ["user", Buffer.from("postgres")],
        ["database", Buffer.from(this.#listener.database ?? "postgres")],
        ["application_name", Buffer.from("ambassador health check")],
      ],
    };
    try {
      const { wire, greeting } = await this.#logIn(target, startup, this.#identify(startup), {
        onBehalfOf: undefined,
        wanted: undefined,
        signal,
      });
      await sayLast(wire, target, signal, formatMessage("X"));
      return greeting.role;
    } catch (error) {
      // Without a user or a database of its own the check only asks whether somebody answers.
      const sqlState = error instanceof AmbassadorError && error.cause instanceof UpstreamRefusal ? error.cause.sqlState : "";
      if (username === undefined && error instanceof AmbassadorError && error.code === "LOGIN_REFUSED") return undefined;
      if (this.#listener.database === undefined && sqlState === "3D000") return undefined;
      throw error;
    }
  }

  /** Sends a cancel request to a target, encrypted as its sessions are, and waits until the server has closed: then it is done. */
  async cancel(target: Target, key: Buffer, onBehalfOf: OnBehalfOf, end: AbortSignal): Promise<void> {
    const { connectMs } = this.#listener.upstream;
    const late = new AbortController();
    const error = new AmbassadorError("UPSTREAM_TIMEOUT", `Cancelling at ${target.endpoint} took longer than ${connectMs} ms`);
    const timer = startTimer(() => late.abort(error), connectMs);
    try {
      const signal = AbortSignal.any([end, late.signal]);
      await sayLast(await this.#connect(target, onBehalfOf, signal), target, signal, formatCancel(key));
    } finally {
      timer[Symbol.dispose]();
    }
  }

  /** Forgets what was derived from the credentials. */
  dispose(): void {
    this.#keys.clear();
  }

  async #logIn(target: Target, startup: StartupMessage, identity: Identity, options: OpenOptions): Promise<UpstreamSession> {
    const { onBehalfOf, wanted, signal } = options;
    const { user, database, password } = identity;
    const wire = await this.#connect(target, onBehalfOf, signal);
    const { channelBinding, weakestAuth, upstream, login } = this.#listener;
    const hideName = (cause: unknown): never => {
      throw login.username === undefined ? cause : withoutName(cause, user);
    };
    return await ending(wire, target, signal, async () => {
      const greeting = await logIn(wire, withParameters(startup, { user, database }), {
        endpoint: target.endpoint,
        user,
        password,
        keys: this.#keys,
        rules: { channelBinding, weakestAuth },
        wantsRole: wanted !== undefined || (onBehalfOf === undefined && upstream.target !== "any"),
      }).catch(hideName);
      if (wanted !== undefined && greeting.role !== wanted)
        throw new AmbassadorError("UPSTREAM_ROLE", `The upstream ${target.endpoint} is ${greeting.role}, and ${wanted} is wanted`);
      return { wire, greeting, identity };
    });
  }

  /** A connection, encrypted by the mode. Where that only prefers TLS and it fails, another one without. */
  async #connect(target: Target, onBehalfOf: OnBehalfOf | undefined, signal: AbortSignal): Promise<Wire> {
    const { upstream } = this.#listener;
    const wire = await dialUpstream(target, upstream, onBehalfOf, signal);
    try {
      await ending(wire, target, signal, () => encryptUpstream(wire, target, upstream.tls, this.#credentials));
      return wire;
    } catch (error) {
      const mayBePlain = upstream.tls?.mode === "prefer" && error instanceof AmbassadorError && error.code === "UPSTREAM_UNTRUSTED";
      if (!mayBePlain || signal.aborted) throw error;
      return await dialUpstream(target, upstream, onBehalfOf, signal);
    }
  }

  #identify(startup: StartupMessage): Identity {
    const { login } = this.#listener;
    const username = this.#secret(login.username);
    const password = this.#secret(login.password);
    const asked = parameterOf(startup, "user");
    if (asked === undefined || asked.length === 0) throw new AmbassadorError("CLIENT_PROTOCOL", "No user name in the startup packet");
    const database = parameterOf(startup, "database") ?? Buffer.alloc(0);
    const secrets = [
      ...(login.username !== undefined && username !== undefined ? [{ source: login.username, version: username.version }] : []),
      ...(login.password !== undefined && password !== undefined ? [{ source: login.password, version: password.version }] : []),
    ];
    return {
      user: username === undefined ? asked : Buffer.from(username.text),
      // A server takes the user's name where no database is named: the application's, not the one in its place.
      database: this.#listener.database === undefined ? (database.length > 0 ? database : asked) : Buffer.from(this.#listener.database),
      password,
      secrets,
    };
  }

  /** A zero would end the text, and begin what the packet says next. */
  #secret(source: SecretSource | undefined): Secret | undefined {
    if (source === undefined) return undefined;
    const secret = this.#credentials.secret(source);
    if (secret.text.includes("\0"))
      throw new AmbassadorError("CREDENTIAL_MISSING", "A credential has a zero byte in it, which PostgreSQL does not allow");
    return secret;
  }
}

/** Sends something that the server closes the connection for, and waits for that. */
async function sayLast(wire: Wire, target: Target, signal: AbortSignal, message: Buffer): Promise<void> {
  await ending(wire, target, signal, async () => {
    wire.write(message);
    while ((await wire.readSome(1024)).length > 0); // nothing is expected, and nothing that comes is looked at
  });
  wire.destroy();
}

/** Runs a part of a login, and ends the wire when it fails or the signal is aborted. Throws AmbassadorErrors or the signal's reason. */
async function ending<T>(wire: Wire, target: Target, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const abort = (): void => wire.destroy();
  signal.addEventListener("abort", abort, { once: true });
  try {
    signal.throwIfAborted();
    return await work();
  } catch (cause) {
    wire.destroy();
    if (signal.aborted) throw signal.reason;
    if (!(cause instanceof WireEnded)) throw cause;
    throw new AmbassadorError("UPSTREAM_PROTOCOL", `The upstream ${target.endpoint} ended the connection during the login`, { cause });
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
