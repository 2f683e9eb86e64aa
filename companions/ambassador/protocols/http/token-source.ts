import { type BackoffCurve, backoffMs, type Clock, type Logger, systemClock } from "@peapod/kit";
import type { Credentials } from "../../credentials/credentials.ts";
import { fetchToken, type OAuth2Config } from "./fetch-token.ts";
import { secretOf } from "./secret-field.ts";

export interface TokenSourceParts {
  readonly log: Logger;
  readonly clock?: Pick<Clock, "monotonicMs">;
}

export interface Token {
  readonly text: string;
  readonly fetchedMs: number;
  readonly expiresMs: number;
  /** Of the client's name and secret that it was got with. */
  readonly version: string;
}

/** A token that is younger was refused for what it is, and another would be the same. */
const AGED_MS = 1_000;

/** After a failure, the token's server is left alone for so long; doubled with each. */
const afterFailure: BackoffCurve = { initialMs: 500, maximumMs: 30_000 };

/** The token of OAuth 2.0 client credentials (RFC 6749 §4.4): one at a time for all requests, renewed before it ends while the old one is still good. */
export class TokenSource {
  readonly #config: OAuth2Config;
  readonly #credentials: Credentials;
  readonly #log: Logger;
  readonly #clock: Pick<Clock, "monotonicMs">;
  #token: Token | undefined;
  #fetching: { readonly version: string; readonly token: Promise<Token> } | undefined;
  #failure: { readonly version: string; readonly cause: unknown; readonly count: number; readonly retryMs: number } | undefined;

  constructor(config: OAuth2Config, credentials: Credentials, parts: TokenSourceParts) {
    this.#config = config;
    this.#credentials = credentials;
    this.#log = parts.log;
    this.#clock = parts.clock ?? systemClock;
  }

  /** A token that is good now. Throws CREDENTIAL_MISSING, the failure of fetchToken (also for a while after it), or the signal's reason. */
  async token(signal: AbortSignal): Promise<Token> {
    const version = this.#version();
    const nowMs = this.#clock.monotonicMs();
    const token = this.#token;
    if (token === undefined || token.version !== version || nowMs >= token.expiresMs) return await this.#wait(this.#renew(version), signal);
    if (nowMs >= this.#renewMs(token) && this.#mayTry(version)) this.#renew(version).catch(() => {}); // told by #renew; the old one is still good
    return token;
  }

  /** Forgets a token that the upstream refused. Whether a new one may do better: it has aged, or there is another already. */
  refused(token: Token): boolean {
    if (this.#token !== token) return true;
    if (this.#clock.monotonicMs() - token.fetchedMs < AGED_MS) return false;
    this.#token = undefined;
    return true;
  }

  #version(): string {
    const { clientId, clientSecret } = this.#config;
    return `${secretOf(this.#credentials, clientId).version}/${secretOf(this.#credentials, clientSecret).version}`;
  }

  /** Never in the first half of its life, however early the configuration wants it. */
  #renewMs({ fetchedMs, expiresMs }: Token): number {
    return expiresMs - Math.min(this.#config.refreshBeforeMs, (expiresMs - fetchedMs) / 2);
  }

  #mayTry(version: string): boolean {
    return this.#failure === undefined || this.#failure.version !== version || this.#clock.monotonicMs() >= this.#failure.retryMs;
  }

  async #renew(version: string): Promise<Token> {
    if (this.#fetching?.version === version) return await this.#fetching.token;
    if (!this.#mayTry(version)) throw this.#failure?.cause;
    const fetching = { version, token: this.#fetch(version) };
    this.#fetching = fetching;
    try {
      return await fetching.token;
    } finally {
      if (this.#fetching === fetching) this.#fetching = undefined;
    }
  }

  async #fetch(version: string): Promise<Token> {
    const fetchedMs = this.#clock.monotonicMs();
    try {
      const { text, lifeMs } = await fetchToken(this.#config, this.#credentials);
      const token = { text, fetchedMs, expiresMs: fetchedMs + lifeMs, version };
      this.#token = token;
      this.#failure = undefined;
      return token;
    } catch (cause) {
      const count = this.#failure?.version === version ? this.#failure.count + 1 : 0;
      this.#failure = { version, cause, count, retryMs: this.#clock.monotonicMs() + backoffMs(afterFailure, count) };
      this.#log.warn("token not renewed", { error: cause });
      throw cause;
    }
  }

  /** Many may wait for one fetch; each leaves when its own time is over. */
  async #wait(token: Promise<Token>, signal: AbortSignal): Promise<Token> {
    const { promise, reject } = Promise.withResolvers<never>();
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await Promise.race([token, promise]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
}
