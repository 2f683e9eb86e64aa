import { createHash } from "node:crypto";
import { parseAddress } from "./cidr.ts";

/** What an engine calls its things on the machine: from its id alone, so that engines never meet. Linux allows 15 characters for a device. */
export interface NetworkNames {
  readonly bridge: string;
  /** Two nftables tables, of the families `ip` and `bridge`. */
  readonly table: string;
  /** Marks rules in other programs' chains. */
  readonly mark: string;
  readonly bridgeMac: string;
}

/** Every engine's bridge, as nft matches names. */
export const ANY_BRIDGE = "pp-*";

/** The names of an engine's network. */
export function networkNames(engineId: string): NetworkNames {
  if (!/^[A-Za-z0-9-]{1,40}$/.test(engineId)) throw new Error(`Not an engine id: ${JSON.stringify(engineId)}`);
  const short = engineId.length <= 12 ? engineId : digest(engineId).slice(0, 12);
  // Fixed, and locally administered: a bridge otherwise takes a port's address and loses it with the port, with pods' ARP entries.
  const bridgeMac = ["0a", "59", ...(digest(engineId).slice(0, 8).match(/../g) ?? [])].join(":");
  return { bridge: `pp-${short}`, table: `peapod-${engineId}`, mark: `peapod-${engineId}`, bridgeMac };
}

/** The host's end of a pod's link. */
export function deviceName(engineId: string, podUid: string): string {
  return `ppv${digest(`${engineId}/${podUid}`).slice(0, 12)}`;
}

/** A pod's hardware address, from its IP: neighbours' ARP entries stay right when an address is used again. */
export function podMac(ip: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(parseAddress(ip) ?? 0);
  return ["0a", "58", ...(bytes.toString("hex").match(/../g) ?? [])].join(":");
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
