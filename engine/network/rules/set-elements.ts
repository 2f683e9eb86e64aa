import { attribute, NETLINK, type NetlinkRequest, NetlinkSocket } from "../../linux/netlink.ts";

// From linux/netfilter/nfnetlink.h and nf_tables.h.
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_NEWSETELEM = (NFNL_SUBSYS_NFTABLES << 8) | 12;
const NFT_MSG_DELSETELEM = (NFNL_SUBSYS_NFTABLES << 8) | 14;
const NFTA_SET_ELEM_LIST = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_DATA_VALUE = 1;
const NLA_F_NESTED = 0x8000;
const NLM_F_CREATE = 0x400;
export const AF_BRIDGE = 7;

/** One element of a set. */
export interface SetElement {
  readonly set: string;
  /** The parts of its key, each as the kernel compares it: network byte order, names padded. */
  readonly key: readonly Buffer[];
}

/**
 * Adds elements to sets of a table, or takes them out, as one transaction. Asked of the kernel directly: as a run of nft(8) it would be the
 * longest part of a pod's connection. An element that is there already is no failure; one to be taken out must be there. Throws an error with `code`.
 */
export async function changeElements(
  change: "add" | "delete",
  table: { readonly family: number; readonly name: string },
  elements: readonly SetElement[],
): Promise<void> {
  const { family, name } = table;
  const requests = elements.map(({ set, key }): NetlinkRequest => {
    const body = Buffer.concat([
      header(family, 0),
      attribute(NFTA_SET_ELEM_LIST.TABLE, name),
      attribute(NFTA_SET_ELEM_LIST.SET, set),
      nested(NFTA_SET_ELEM_LIST.ELEMENTS, nested(NFTA_LIST_ELEM, nested(NFTA_SET_ELEM_KEY, attribute(NFTA_DATA_VALUE, concat(key))))),
    ]);
    const doing = `Cannot ${change} an element of the nftables set ${set} of ${name}`;
    return change === "add" ? { type: NFT_MSG_NEWSETELEM, flags: NLM_F_CREATE, body, doing } : { type: NFT_MSG_DELSETELEM, body, doing };
  });
  using socket = new NetlinkSocket(NETLINK.NETFILTER);
  await socket.request([frame(NFNL_MSG_BATCH_BEGIN), ...requests, frame(NFNL_MSG_BATCH_END)]);
}

function frame(type: number): NetlinkRequest {
  return { type, body: header(0, NFNL_SUBSYS_NFTABLES), doing: "Cannot change nftables sets", isFrame: true };
}

/** struct nfgenmsg: the family, version 0, and a number in network byte order. */
function header(family: number, resource: number): Buffer {
  return Buffer.from([family, 0, resource >> 8, resource & 0xff]);
}

function nested(type: number, content: Buffer): Buffer {
  return attribute(type | NLA_F_NESTED, content);
}

/** Each part of a key begins at a multiple of four bytes. */
function concat(parts: readonly Buffer[]): Buffer {
  return Buffer.concat(parts.map((part) => Buffer.concat([part], Math.ceil(part.length / 4) * 4)));
}
