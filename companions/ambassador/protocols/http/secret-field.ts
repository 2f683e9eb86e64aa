import type { SecretSource, Secret } from "../../../frame/credentials/secret.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { AmbassadorError } from "../../errors.ts";
import { isFieldValue } from "./fields.ts";

/** What a secret says now. Throws CREDENTIAL_MISSING, naming the file, for one that is empty. */
export function secretOf(credentials: Credentials, source: SecretSource): Secret {
  const secret = credentials.secret(source);
  if (secret.text === "") throw new AmbassadorError("CREDENTIAL_MISSING", `${nameOf(source)} is empty`);
  return secret;
}

/** A secret as the value of a header field, its text in UTF-8. Throws CREDENTIAL_MISSING for one that could end the line and go on with another. */
export function fieldValueOf(credentials: Credentials, source: SecretSource): string {
  const value = Buffer.from(credentials.secret(source).text, "utf8").toString("latin1");
  if (!isFieldValue(value)) throw new AmbassadorError("CREDENTIAL_MISSING", `${nameOf(source)} has characters that no header may have`);
  return value;
}

/** Names a source without what it says. */
export function nameOf(source: SecretSource): string {
  return source.kind === "file" ? `The credential file ${source.path}` : "The configured credential";
}
