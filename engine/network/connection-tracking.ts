import { isErrno } from "@peapod/kit";
import { attribute, NETLINK, type NetlinkRequest, NetlinkSocket, NLM_F_DUMP, parseAttributes } from "../linux/netlink.ts";
import { formatAddress } from "./cidr.ts";
import type { PortMapping } from "./network.ts";
import { isAny } from "./rules/rules.ts";

// From linux/netfilter/nfnetlink_conntrack.h.
const IPCTNL_MSG_CT_GET = 0x101;
const IPCTNL_MSG_CT_DELETE = 0x102;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE = { IP: 1, PROTO: 2 } as const;
const CTA_IP_V4_DST = 2;
const CTA_PROTO = { NUM: 1, DST_PORT: 3 } as const;
const NLA_F_NESTED = 0x8000;
const IPPROTO_UDP = 17;

/** struct nfgenmsg: AF_INET, version 0. */
const header = Buffer.from([2, 0, 0, 0]);

/**
 * Makes the kernel forget the UDP flows to host ports. It keeps translating a flow as it did the first time for as long as packets come, so a
 * sender that never pauses would go on talking to the pod before, or to nobody. TCP needs no such thing: its connections end.
 */
export async function forgetFlows(ports: readonly PortMapping[]): Promise<void> {
  const wanted = ports.filter((mapping) => mapping.protocol === "UDP");
  if (wanted.length === 0) return;
  using socket = new NetlinkSocket(NETLINK.NETFILTER);
  const flows = await socket.request([
    { type: IPCTNL_MSG_CT_GET, flags: NLM_F_DUMP, body: header, doing: "Cannot list tracked connections" },
  ]);
  for (const { body } of flows) {
    const tuple = parseAttributes(body.subarray(header.length)).get(CTA_TUPLE_ORIG);
    if (tuple !== undefined && leadsTo(tuple, wanted)) await forget(socket, tuple);
  }
}

function leadsTo(tuple: Buffer, wanted: readonly PortMapping[]): boolean {
  const parts = parseAttributes(tuple);
  const protocol = parseAttributes(parts.get(CTA_TUPLE.PROTO) ?? Buffer.alloc(0));
  const address = parseAttributes(parts.get(CTA_TUPLE.IP) ?? Buffer.alloc(0)).get(CTA_IP_V4_DST);
  const port = protocol.get(CTA_PROTO.DST_PORT);
  if (protocol.get(CTA_PROTO.NUM)?.[0] !== IPPROTO_UDP || port === undefined || address === undefined) return false;
  return wanted.some(
    (mapping) => mapping.hostPort === port.readUInt16BE() && (isAny(mapping) || mapping.hostIP === formatAddress(address.readUInt32BE())),
  );
}

/** One that ended by itself meanwhile is forgotten, too. */
async function forget(socket: NetlinkSocket, tuple: Buffer): Promise<void> {
  const body = Buffer.concat([header, attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, tuple)]);
  const request: NetlinkRequest = { type: IPCTNL_MSG_CT_DELETE, body, doing: "Cannot forget a tracked connection" };
  try {
    await socket.request([request]);
  } catch (cause) {
    if (!isErrno(cause, "ENOENT")) throw cause;
  }
}
