import { isErrno } from "@peapod/kit";
import { NETLINK, NetlinkSocket, parseAttributes } from "../../linux/netlink.ts";

// From linux/netfilter/nfnetlink.h and nf_tables.h.
const NFT_MSG_GETGEN = (10 << 8) | 16;
const NFTA_GEN_ID = 1;
/** struct nfgenmsg: no family, version 0. */
const header = Buffer.alloc(4);

/**
 * The number that the kernel gives the present state of all nftables rules of this network namespace, iptables-nft's too: as long as it is the
 * same, nobody has changed any. Undefined where the kernel does not say.
 */
export async function rulesGeneration(): Promise<number | undefined> {
  try {
    using socket = new NetlinkSocket(NETLINK.NETFILTER);
    const [answer] = await socket.request([
      { type: NFT_MSG_GETGEN, body: header, doing: "Cannot ask for the generation of nftables rules" },
    ]);
    return parseAttributes(answer?.body.subarray(header.length) ?? Buffer.alloc(0))
      .get(NFTA_GEN_ID)
      ?.readUInt32BE();
  } catch (cause) {
    if (isErrno(cause, "EINVAL", "EOPNOTSUPP", "EPROTONOSUPPORT")) return undefined; // no nftables: whoever needs it says so
    throw cause;
  }
}
