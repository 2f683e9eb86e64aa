import { EngineError } from "../../../errors.ts";
import { readInRoot } from "./rootfs-path.ts";

/** Who a container's process is, in numbers. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  /** From the passwd file; "/" where it has none. */
  readonly home: string;
}

const LIMIT_BYTES = 1024 * 1024;
const LARGEST_ID = 2 ** 32 - 2; // -1 means "leave it" to the kernel

/**
 * Finds `user[:group]`, names or numbers, in a root file system's own passwd and group files, as containerd does: "" is root, a number
 * needs no entry, a name does. The groups that the user is a member of come along.
 * Throws CONTAINER_CONFIG_INVALID for an unknown name, a number out of range or files that cannot be read.
 */
export function resolveUser(rootfs: string, user: string): ResolvedUser {
  const [userPart = "", groupPart = ""] = user.split(":", 2);
  const passwd = readEntries(rootfs, "/etc/passwd");
  const groups = readEntries(rootfs, "/etc/group");
  const entry = findUser(passwd, userPart === "" ? "0" : userPart);
  const name = entry.fields?.[0];
  const primary = groupPart === "" ? (parseId(entry.fields?.[3] ?? "") ?? 0) : findGroup(groups, groupPart);
  const memberOf = groups.filter((fields) => name !== undefined && (fields[3] ?? "").split(",").includes(name));
  const gids = [primary, ...memberOf.map((fields) => parseId(fields[2] ?? "")).filter((gid) => gid !== undefined)];
  return { uid: entry.uid, gid: primary, additionalGids: [...new Set(gids)], home: entry.fields?.[5] || "/" };
}

function findUser(passwd: readonly string[][], wanted: string): { uid: number; fields: string[] | undefined } {
  const byName = passwd.find((fields) => fields[0] === wanted);
  const uid = parseId(byName?.[2] ?? wanted);
  if (uid === undefined)
    throw new EngineError(
      "CONTAINER_CONFIG_INVALID",
      `Cannot find user ${JSON.stringify(wanted)}: no matching entries in the image's /etc/passwd`,
    );
  return { uid, fields: byName ?? passwd.find((fields) => parseId(fields[2] ?? "") === uid) };
}

function findGroup(groups: readonly string[][], wanted: string): number {
  const byName = groups.find((fields) => fields[0] === wanted);
  const gid = parseId(byName?.[2] ?? wanted);
  if (gid === undefined)
    throw new EngineError(
      "CONTAINER_CONFIG_INVALID",
      `Cannot find group ${JSON.stringify(wanted)}: no matching entries in the image's /etc/group`,
    );
  return gid;
}

function parseId(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= LARGEST_ID ? id : undefined;
}

function readEntries(rootfs: string, path: string): string[][] {
  try {
    return readInRoot(rootfs, path, LIMIT_BYTES)
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.split(":"));
  } catch (cause) {
    throw new EngineError("CONTAINER_CONFIG_INVALID", `Cannot read ${path} of the image`, { cause });
  }
}
