/**
 * Header fields as node:http gives and takes them: name, value, name, value, in the order, the case and with the repetitions of the sender.
 * What concerns one connection alone (RFC 9110 §7.6.1) never passes.
 */
export type Fields = readonly string[];

/** Never passed on: fields of the connection, whether `Connection` names them or not. Framing and `Host` have rules of their own. */
const ofConnection: ReadonlySet<string> = new Set(["connection", "keep-alive", "te", "transfer-encoding", "upgrade", "http2-settings"]);

/** What `Connection` may name without effect: message framing and routing are not the sender's to hide. */
const ofMessage: ReadonlySet<string> = new Set(["content-length", "host"]);

/** Fields that decide how a message is read may not come after it (RFC 9110 §6.5.1), nor may those that say who is asking. */
const notInTrailers: ReadonlySet<string> = new Set([
  "content-length",
  "content-encoding",
  "content-type",
  "content-range",
  "host",
  "trailer",
  "authorization",
  "cookie",
  "set-cookie",
  "expect",
  "range",
]);

/** The values of one field, by its name in lower case. */
export function valuesOf(fields: Fields, name: string): string[] {
  const values: string[] = [];
  for (let index = 0; index < fields.length; index += 2) if (lower(fields[index]) === name) values.push(fields[index + 1] ?? "");
  return values;
}

/** The members of a field that is a list, in lower case. */
export function membersOf(fields: Fields, name: string): string[] {
  return valuesOf(fields, name).flatMap((value) => value.split(",").map((member) => member.trim().toLowerCase()));
}

/** Whether a field belongs to one connection, given what its `Connection` names. */
export function connectionFields(fields: Fields): (name: string) => boolean {
  const named = new Set(membersOf(fields, "connection").filter((name) => !ofMessage.has(name)));
  return (name) => ofConnection.has(name) || named.has(name) || name.startsWith("proxy-");
}

/** Trailers as `addTrailers` takes them, without what may not come there. */
export function trailersOf(fields: Fields, isOwned: (name: string) => boolean): [string, string][] {
  const isOfConnection = connectionFields(fields);
  const kept: [string, string][] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const [name = "", value = ""] = [fields[index], fields[index + 1]];
    const key = lower(name);
    if (!isOfConnection(key) && !notInTrailers.has(key) && !isOwned(key)) kept.push([name, value]);
  }
  return kept;
}

/** A name in lower case. */
export function lower(name: string | undefined): string {
  return (name ?? "").toLowerCase();
}

/** Whether a name may be a field's (RFC 9110 §5.6.2). */
export function isFieldName(name: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name);
}

/** Whether a value can be sent as one: nothing that ends a line, nothing that is no text. */
export function isFieldValue(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
}
