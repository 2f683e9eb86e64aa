/**
 * A password as SCRAM wants it (RFC 4013). As PostgreSQL does, one that the rules forbid (what they do not know, or mixed directions) is
 * taken as it is.
 */
export async function saslprepPassword(password: string): Promise<string> {
  if (/^[\x20-\x7e]*$/.test(password)) return password;
  const { default: saslprep } = await import("@mongodb-js/saslprep"); // its tables are big, and few need them
  try {
    return saslprep(password);
  } catch {
    return password; // its only errors: what the profile forbids
  }
}
