import type { SecretSource } from "../../../frame/credentials/secret.ts";
import type { LoginConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";

/** Whom to log in as, as the files say at one moment. */
export interface LoginSecrets {
  /** Undefined: the client's own. */
  readonly user: Buffer | undefined;
  /** Empty where none is configured: a client's own cannot be had from its scramble. A server may take a certificate instead. */
  readonly password: Buffer;
  readonly used: readonly { readonly source: SecretSource; readonly version: number }[];
}

/** Throws CREDENTIAL_MISSING. */
export function readSecrets({ username, password }: LoginConfig, credentials: Credentials): LoginSecrets {
  const read = (source: SecretSource): { readonly text: Buffer; readonly used: LoginSecrets["used"] } => {
    const { text, version } = credentials.secret(source);
    return { text: Buffer.from(text), used: [{ source, version }] };
  };
  const user = username === undefined ? undefined : read(username);
  const secret = password === undefined ? undefined : read(password);
  return { user: user?.text, password: secret?.text ?? Buffer.alloc(0), used: [...(user?.used ?? []), ...(secret?.used ?? [])] };
}

/** Whether one of them has changed since. */
export function areStale(secrets: LoginSecrets, now: LoginSecrets): boolean {
  return now.used.some(({ version }, index) => version !== secrets.used[index]?.version);
}
