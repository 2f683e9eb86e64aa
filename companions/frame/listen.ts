import { lstat, unlink } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { isErrno, messageOf } from "@peapod/kit";
import { type Address, formatAddress } from "./address.ts";
import { CompanionError } from "./errors.ts";

/** Has a server listen. `purpose` is said where it fails: `for the admin server`. Throws LISTEN_FAILED, with what to do about it. */
export async function listenAt(server: Server, address: Address, purpose?: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  try {
    if (address.kind === "unix") await removeStaleSocket(address.path);
    server.once("error", reject).once("listening", resolve);
    server.listen(address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port });
    await promise;
    server.off("error", reject);
  } catch (cause) {
    throw listenFailed(address, cause, purpose);
  }
}

/** Where a server listens, with the port that it got; undefined: nowhere. */
export function boundAddress(server: Server): string | undefined {
  const bound = server.address();
  if (bound === null) return undefined;
  return typeof bound === "string" ? `unix:${bound}` : formatAddress({ kind: "tcp", host: bound.address, port: bound.port });
}

/** LISTEN_FAILED, with what to do about it. */
export function listenFailed(address: Address, cause: unknown, purpose?: string): CompanionError<"LISTEN_FAILED"> {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const reason = advice[code]?.(address) ?? messageOf(cause);
  const what = purpose === undefined ? "" : ` ${purpose}`;
  return new CompanionError("LISTEN_FAILED", `Cannot listen on ${formatAddress(address)}${what}: ${reason}`, { cause });
}

const advice: Readonly<Record<string, (address: Address) => string>> = {
  EADDRINUSE: (address) =>
    address.kind === "unix"
      ? "another process listens on this socket; stop it, or choose another path"
      : "another process listens on this port; `ss -ltnp` names it",
  EADDRNOTAVAIL: () => "this address belongs to no interface here; use 127.0.0.1, ::1, 0.0.0.0 or :: instead",
  EACCES: (address) =>
    address.kind === "unix"
      ? "this user may not write to the folder"
      : "ports below 1024 need the capability NET_BIND_SERVICE; use a higher port",
  ENOENT: () => "its folder does not exist; mount or make it first",
  EINVAL: () => "the path is too long for a UNIX socket (107 bytes)",
};

/** A file left by a process that is gone would be in the way; one that somebody listens on stays, and listening there fails. */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined); // not there, or listening says what is wrong
  if (!found?.isSocket()) return;
  if (!(await isAnswered(path))) await unlink(path);
}

async function isAnswered(path: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const probe = connect({ path });
    probe.once("connect", () => resolve(true)).once("error", (error) => resolve(!isErrno(error, "ECONNREFUSED")));
    probe.once("connect", () => probe.destroy());
  });
}
