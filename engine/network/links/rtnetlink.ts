import { attribute, type NetlinkAnswer, type NetlinkRequest, NLM_F_DUMP, parseAttributes } from "../../linux/netlink.ts";
import { formatAddress, parseAddress } from "../cidr.ts";

// From linux/rtnetlink.h, if_link.h, if_addr.h and veth.h.
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const IFLA = { ADDRESS: 1, IFNAME: 3, MTU: 4, MASTER: 10, OPERSTATE: 16, LINKINFO: 18, NET_NS_FD: 28 } as const;
const IFLA_INFO = { KIND: 1, DATA: 2, SLAVE_KIND: 4, SLAVE_DATA: 5 } as const;
const VETH_INFO_PEER = 1;
const IFLA_BRPORT_STATE = 1;
const IFLA_BRPORT_MODE = 4;
const BR_STATE_FORWARDING = 3;
const IF_OPER_UP = 6;
const LINK_HEADER_BYTES = 16;
const ADDRESS_HEADER_BYTES = 8;
const IFA = { ADDRESS: 1, LOCAL: 2, BROADCAST: 4 } as const;
const RTA = { OIF: 4, GATEWAY: 5 } as const;
const AF_INET = 2;
const IFF_UP = 1;

/** Makes a veth pair, both down: `name` here, `peer` in another namespace. */
export function addVeth(options: { name: string; mac: string; mtu: number; peer: string; peerNamespaceFd: number }): NetlinkRequest {
  const { name, mac, mtu, peer, peerNamespaceFd } = options;
  const peerInfo = Buffer.concat([
    linkHeader({}),
    attribute(IFLA.IFNAME, peer),
    attribute(IFLA.MTU, mtu),
    attribute(IFLA.NET_NS_FD, peerNamespaceFd),
  ]);
  const info = Buffer.concat([attribute(IFLA_INFO.KIND, "veth"), attribute(IFLA_INFO.DATA, attribute(VETH_INFO_PEER, peerInfo))]);
  const address = Buffer.from(mac.replaceAll(":", ""), "hex");
  const body = Buffer.concat([
    linkHeader({}),
    attribute(IFLA.IFNAME, name),
    attribute(IFLA.ADDRESS, address),
    attribute(IFLA.MTU, mtu),
    attribute(IFLA.LINKINFO, info),
  ]);
  return { type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, body, doing: `Cannot make the devices ${name} and ${peer}` };
}

/** Asks about a device. */
export function getLink(name: string): NetlinkRequest {
  return {
    type: RTM_GETLINK,
    body: Buffer.concat([linkHeader({}), attribute(IFLA.IFNAME, name)]),
    doing: `Cannot find the device ${name}`,
  };
}

/** A device, as far as a link to a pod can be broken at it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly isUp: boolean;
  /** Index of the bridge it is on; 0: none. */
  readonly master: number;
}

/** An IPv4 address of a device. */
export interface LinkAddress {
  readonly index: number;
  readonly ip: string;
  readonly prefixLength: number;
}

/** Lists all devices: `parseLink` reads each. */
export const listLinks: NetlinkRequest = { type: RTM_GETLINK, flags: NLM_F_DUMP, body: linkHeader({}), doing: "Cannot list devices" };

/** Lists all IPv4 addresses: `parseLinkAddress` reads each. */
export const listAddresses: NetlinkRequest = {
  type: RTM_GETADDR,
  flags: NLM_F_DUMP,
  body: Buffer.from([AF_INET, 0, 0, 0, 0, 0, 0, 0]),
  doing: "Cannot list addresses",
};

/** One of `listLinks`' answers. */
export function parseLink({ body }: NetlinkAnswer): Link {
  const attributes = parseAttributes(body.subarray(LINK_HEADER_BYTES));
  return {
    index: body.readInt32LE(4),
    name: attributes.get(IFLA.IFNAME)?.toString("latin1").replace(/\0.*/s, "") ?? "",
    isUp: (body.readUInt32LE(8) & IFF_UP) !== 0,
    master: attributes.get(IFLA.MASTER)?.readUInt32LE() ?? 0,
  };
}

/** One of `listAddresses`' answers. */
export function parseLinkAddress({ body }: NetlinkAnswer): LinkAddress {
  const local = parseAttributes(body.subarray(ADDRESS_HEADER_BYTES)).get(IFA.LOCAL);
  return { index: body.readInt32LE(4), ip: formatAddress(local?.readUInt32BE() ?? 0), prefixLength: body.readUInt8(1) };
}

/** The device's index, from the answer to `getLink`. */
export function indexOf(answer: { readonly body: Buffer } | undefined): number {
  if (answer === undefined) throw new Error("The kernel did not answer for a device that is there");
  return answer.body.readInt32LE(4);
}

/** Tells whether the device is a bridge's that passes packets on, from the answer to `getLink`. */
export function isForwarding(answer: { readonly body: Buffer } | undefined): boolean {
  const link = parseAttributes(answer?.body.subarray(LINK_HEADER_BYTES) ?? Buffer.alloc(0));
  const info = parseAttributes(link.get(IFLA.LINKINFO) ?? Buffer.alloc(0));
  const port = parseAttributes(info.get(IFLA_INFO.SLAVE_DATA) ?? Buffer.alloc(0));
  return port.get(IFLA_BRPORT_STATE)?.[0] === BR_STATE_FORWARDING;
}

/** Tells whether the device can send, from the answer to `getLink`. */
export function isOperational(answer: { readonly body: Buffer } | undefined): boolean {
  const link = parseAttributes(answer?.body.subarray(LINK_HEADER_BYTES) ?? Buffer.alloc(0));
  return link.get(IFLA.OPERSTATE)?.[0] === IF_OPER_UP;
}

/** Brings a device up. */
export function setUp(name: string): NetlinkRequest {
  return {
    type: RTM_NEWLINK,
    body: Buffer.concat([linkHeader({ up: true }), attribute(IFLA.IFNAME, name)]),
    doing: `Cannot bring ${name} up`,
  };
}

/** Puts a device on a bridge, and brings it up. */
export function joinBridge(name: string, bridgeIndex: number): NetlinkRequest {
  const body = Buffer.concat([linkHeader({ up: true }), attribute(IFLA.IFNAME, name), attribute(IFLA.MASTER, bridgeIndex)]);
  return { type: RTM_NEWLINK, body, doing: `Cannot put ${name} on the bridge` };
}

/** Lets a bridge send a packet back by the device that it came from. */
export function setHairpin(name: string): NetlinkRequest {
  const data = attribute(IFLA_BRPORT_MODE, Buffer.from([1]));
  const info = Buffer.concat([attribute(IFLA_INFO.SLAVE_KIND, "bridge"), attribute(IFLA_INFO.SLAVE_DATA, data)]);
  const body = Buffer.concat([linkHeader({}), attribute(IFLA.IFNAME, name), attribute(IFLA.LINKINFO, info)]);
  return { type: RTM_NEWLINK, body, doing: `Cannot set ${name} to hairpin` };
}

/** Removes a device, and its peer. */
export function removeLink(name: string): NetlinkRequest {
  return {
    type: RTM_DELLINK,
    body: Buffer.concat([linkHeader({}), attribute(IFLA.IFNAME, name)]),
    doing: `Cannot remove the device ${name}`,
  };
}

/** Gives a device an address. */
export function addAddress(index: number, ip: string, prefixLength: number): NetlinkRequest {
  const header = Buffer.alloc(8);
  header.writeUInt8(AF_INET, 0);
  header.writeUInt8(prefixLength, 1);
  header.writeUInt32LE(index, 4);
  const address = bytesOf(ip);
  const broadcast = Buffer.alloc(4);
  broadcast.writeUInt32BE((address.readUInt32BE() | (2 ** (32 - prefixLength) - 1)) >>> 0);
  const body = Buffer.concat([header, attribute(IFA.LOCAL, address), attribute(IFA.ADDRESS, address), attribute(IFA.BROADCAST, broadcast)]);
  return { type: RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_EXCL, body, doing: `Cannot give the pod its address ${ip}` };
}

/** Sends everything that is not on the link by `gateway`. */
export function addDefaultRoute(index: number, gateway: string): NetlinkRequest {
  const RT_TABLE_MAIN = 254;
  const RTPROT_BOOT = 3;
  const RTN_UNICAST = 1;
  const header = Buffer.from([AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST, 0, 0, 0, 0]);
  const body = Buffer.concat([header, attribute(RTA.GATEWAY, bytesOf(gateway)), attribute(RTA.OIF, index)]);
  return { type: RTM_NEWROUTE, flags: NLM_F_CREATE | NLM_F_EXCL, body, doing: `Cannot route the pod by ${gateway}` };
}

/** struct ifinfomsg; the device is named by an attribute. */
function linkHeader({ up = false }: { up?: boolean }): Buffer {
  const header = Buffer.alloc(LINK_HEADER_BYTES);
  if (up) {
    header.writeUInt32LE(IFF_UP, 8); // flags
    header.writeUInt32LE(IFF_UP, 12); // which of them change
  }
  return header;
}

function bytesOf(ip: string): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(parseAddress(ip) ?? 0);
  return bytes;
}
