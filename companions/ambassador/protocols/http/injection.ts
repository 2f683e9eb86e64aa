import type { SecretSource } from "../../../frame/credentials/secret.ts";
import type { HttpListenerConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { AmbassadorError } from "../../errors.ts";
import { type Fields, isFieldName } from "./fields.ts";
import { fieldValueOf, nameOf, secretOf } from "./secret-field.ts";
import { type Token, TokenSource, type TokenSourceParts } from "./token-source.ts";

/** The credentials that go into each request, in place of the application's. */
export interface Injection {
  /** Whether a field, by its name in lower case, is the configuration's alone. */
  readonly isOwned: (name: string) => boolean;
  /** The fields as they are now. Throws CREDENTIAL_MISSING, and what a token's server does wrong. */
  fields(signal: AbortSignal): Promise<Injected>;
  /** The upstream refused these (401). Whether others may do better. */
  refused(injected: Injected): boolean;
}

export interface Injected {
  readonly fields: Fields;
  readonly token: Token | undefined;
}

/** Fields that frame or route a message, which no configuration may set. */
const reserved = ["connection", "content-length", "transfer-encoding", "host", "upgrade", "te", "trailer", "keep-alive", "expect"];

/** Makes what a listener puts in. Throws CONFIG_INVALID for a name that cannot be a header's, or may not. */
export function makeInjection(
  listener: Pick<HttpListenerConfig, "name" | "headers" | "auth">,
  credentials: Credentials,
  parts: TokenSourceParts,
): Injection {
  const { headers, auth } = listener;
  const configured = auth?.kind === "api-key" ? [...headers, { name: auth.header, value: auth.key }] : headers;
  const owned = new Set(configured.map(({ name }) => name.toLowerCase()));
  if (auth !== undefined) owned.add("authorization");
  for (const { name } of configured)
    if (!isFieldName(name) || reserved.includes(name.toLowerCase()))
      throw new AmbassadorError("CONFIG_INVALID", `Listener "${listener.name}": the header ${JSON.stringify(name)} cannot be set`);
  const tokens = auth?.kind === "oauth2-client-credentials" ? new TokenSource(auth, credentials, parts) : undefined;
  return {
    isOwned: (name) => owned.has(name),
    fields: async (signal) => {
      const fields = configured.flatMap(({ name, value }) => [name, fieldValueOf(credentials, value)]);
      const token = tokens === undefined ? undefined : await tokens.token(signal);
      const authorization = token === undefined ? authorizationOf(auth, credentials) : `Bearer ${token.text}`;
      return { fields: authorization === undefined ? fields : [...fields, "Authorization", authorization], token };
    },
    refused: ({ token }) => token !== undefined && tokens !== undefined && tokens.refused(token),
  };
}

function authorizationOf(auth: HttpListenerConfig["auth"], credentials: Credentials): string | undefined {
  if (auth?.kind === "basic") return basicCredentials(credentials, auth.username, auth.password);
  if (auth?.kind === "bearer") {
    secretOf(credentials, auth.token);
    return `Bearer ${fieldValueOf(credentials, auth.token)}`;
  }
  return undefined;
}

/** RFC 7617, in UTF-8. A name with a colon cannot be said, for the password begins there. */
function basicCredentials(credentials: Credentials, username: SecretSource, password: SecretSource): string {
  const user = secretOf(credentials, username).text;
  if (user.includes(":"))
    throw new AmbassadorError("CREDENTIAL_MISSING", `${nameOf(username)} has a colon, which no name in Basic may have`);
  return `Basic ${Buffer.from(`${user}:${credentials.secret(password).text}`, "utf8").toString("base64")}`;
}
