import type { TLSSocket } from "node:tls";

/** Who asks, as Kubernetes reads it from a client's certificate: the common name, and the organizations. */
export interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

const AUTHENTICATED = "system:authenticated";

/** Somebody who has shown no certificate of ours. */
export const anonymous: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };

/** Whether a certificate of ours says who it is. */
export function isKnown({ groups }: User): boolean {
  return groups.includes(AUTHENTICATED);
}

/** Who is at the other end of a connection whose handshake is over. */
export function userOf(socket: TLSSocket): User {
  if (!socket.authorized) return anonymous;
  const { subject } = socket.getPeerCertificate() as { subject?: Readonly<Record<string, string | readonly string[] | undefined>> }; // empty where it is gone already
  const [name = ""] = listOf(subject?.["CN"]);
  return { name, groups: [...listOf(subject?.["O"]), AUTHENTICATED] };
}

/** Node gives a list where a name is there several times. */
function listOf(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === "string" ? [value] : value;
}
