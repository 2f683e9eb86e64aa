import { badRequest, parseJson, tooLarge } from "@peapod/api";
import { exactNumber } from "@peapod/client";
import { messageOf } from "@peapod/kit";
import { StatusError } from "../errors.ts";

/** Reading YAML takes a hundred times what JSON of the same length takes, and nothing else is answered meanwhile. */
const LIMIT_BYTES = 256 * 1024;
/** Each may stand for a large part of the text, and those that are merged are copied. */
const MOST_ALIASES = 100;
/** Of the JSON that it stands for, aliases written out. */
const MOST_CHARACTERS = 3 * 1024 * 1024;

/** Reads a YAML body as the JSON that it stands for; of a key that is there twice the last counts, as in JSON. Throws 400 or 413. */
export async function readYaml(bytes: Buffer): Promise<unknown> {
  if (bytes.length > LIMIT_BYTES) {
    const status = tooLarge(LIMIT_BYTES);
    throw new StatusError({ ...status, message: `${status.message} for YAML: send application/json` });
  }
  // Loaded here, since most engines are never sent any.
  const [{ isAlias, visit }, { decodeYamlText, readYamlDocuments }] = await Promise.all([import("yaml"), import("@peapod/client/yaml")]);
  try {
    const [document, ...more] = readYamlDocuments(decodeYamlText(bytes), { uniqueKeys: false });
    if (document === undefined) return null;
    if (more.length > 0) throw new Error("multiple documents");
    const [error] = document.errors;
    if (error !== undefined) throw error;
    let aliases = 0;
    visit(document, (_key, node) => {
      if (isAlias(node) && ++aliases > MOST_ALIASES) throw new Error(`more than ${MOST_ALIASES} aliases`);
    });
    const text = JSON.stringify(document.toJS({ maxAliasCount: MOST_ALIASES, reviver: exactNumber })) ?? "null";
    if (text.length > MOST_CHARACTERS) throw new StatusError(tooLarge(MOST_CHARACTERS));
    return parseJson(text);
  } catch (cause) {
    if (cause instanceof StatusError) throw cause;
    throw new StatusError(badRequest(`the body is not YAML: ${messageOf(cause)}`), { cause });
  }
}
