import { type IncomingMessage, request as requestPlain } from "node:http";
import { request as requestSecure } from "node:https";
import { abortAfter, messageOf } from "@peapod/kit";
import type { Credentials } from "../../credentials/credentials.ts";
import type { HttpAuthConfig, UpstreamTlsConfig } from "../../config/config.ts";
import { AmbassadorError } from "../../errors.ts";
import { isFieldValue } from "./fields.ts";
import { secretOf } from "./secret-field.ts";

/** How the listener gets its tokens. */
export type OAuth2Config = Extract<HttpAuthConfig, { readonly kind: "oauth2-client-credentials" }>;

/** The whole of one fetch. */
const FETCH_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;
/** Where the server does not say how long a token lives (RFC 6749 §5.1 only recommends it). */
const DEFAULT_LIFE_MS = 300_000;

const systemTls: UpstreamTlsConfig = {
  mode: "verify-full",
  caFile: undefined,
  certFile: undefined,
  keyFile: undefined,
  serverName: undefined,
  minVersion: "TLSv1.2",
  direct: false,
};

/**
 * Asks the token's server once, with the client's name and secret in a Basic header (RFC 6749 §2.3.1). A redirect is a failure.
 * Throws LOGIN_REFUSED, UPSTREAM_UNREACHABLE, UPSTREAM_TIMEOUT, UPSTREAM_PROTOCOL, CREDENTIAL_MISSING.
 */
export async function fetchToken(config: OAuth2Config, credentials: Credentials): Promise<{ text: string; lifeMs: number }> {
  const url = new URL(config.tokenUrl);
  const name = `${url.origin}${url.pathname}`;
  const signal = abortAfter(FETCH_MS);
  try {
    const answer = await ask(url, config, credentials, signal);
    const body = await readAll(answer);
    return parseAnswer(answer.statusCode ?? 0, body, name);
  } catch (cause) {
    if (cause instanceof AmbassadorError) throw cause;
    if (signal.aborted) throw new AmbassadorError("UPSTREAM_TIMEOUT", `No token from ${name} within ${FETCH_MS} ms`);
    const reason = messageOf(cause);
    throw new AmbassadorError("UPSTREAM_UNREACHABLE", `Cannot get a token from ${name}: ${reason}`, { cause });
  }
}

async function ask(url: URL, config: OAuth2Config, credentials: Credentials, signal: AbortSignal): Promise<IncomingMessage> {
  const form = new URLSearchParams({ grant_type: "client_credentials" });
  if (config.scopes.length > 0) form.set("scope", config.scopes.join(" "));
  if (config.audience !== undefined) form.set("audience", config.audience);
  const body = form.toString();
  const user = formEncoded(secretOf(credentials, config.clientId).text);
  const password = formEncoded(secretOf(credentials, config.clientSecret).text);
  const options = {
    method: "POST",
    agent: false,
    signal,
    headers: {
      "Content-Type": "application/x-www-form-urlencoded",
      "Content-Length": Buffer.byteLength(body),
      Accept: "application/json",
      Authorization: `Basic ${Buffer.from(`${user}:${password}`, "utf8").toString("base64")}`,
    },
  };
  const request =
    url.protocol === "https:" ? requestSecure(url, { ...options, ...tlsOptions(config, credentials) }) : requestPlain(url, options);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request.once("response", resolve).on("error", reject).end(body);
  return await promise;
}

function tlsOptions(config: OAuth2Config, credentials: Credentials): object {
  const tls = config.tls ?? systemTls;
  return {
    secureContext: credentials.upstreamContext(tls),
    rejectUnauthorized: tls.mode === "verify-ca" || tls.mode === "verify-full",
    ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
    ...(tls.mode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
  };
}

async function readAll(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new AmbassadorError("UPSTREAM_PROTOCOL", "The token server's answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** What goes wrong is told by the server's own error code alone: the rest of its answer may hold anything. */
function parseAnswer(status: number, body: string, name: string): { text: string; lifeMs: number } {
  const answer = parseObject(body);
  if (status !== 200) {
    const error = typeof answer?.["error"] === "string" && /^[a-z_]{1,40}$/.test(answer["error"]) ? ` (${answer["error"]})` : "";
    const code = status === 400 || status === 401 || status === 403 ? "LOGIN_REFUSED" : "UPSTREAM_PROTOCOL";
    throw new AmbassadorError(code, `The token server ${name} answers ${status}${error}`);
  }
  const { access_token: text, token_type: type, expires_in: life } = answer ?? {};
  if (typeof text !== "string" || text === "" || !isFieldValue(text) || typeof type !== "string" || type.toLowerCase() !== "bearer")
    throw new AmbassadorError("UPSTREAM_PROTOCOL", `The token server ${name} gives no bearer token`);
  const lifeSeconds = Number(life);
  return { text, lifeMs: lifeSeconds > 0 && Number.isFinite(lifeSeconds) ? lifeSeconds * 1000 : DEFAULT_LIFE_MS };
}

function parseObject(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined; // said by the caller, which knows what it asked for
  }
}

/** application/x-www-form-urlencoded, one value. */
function formEncoded(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}
