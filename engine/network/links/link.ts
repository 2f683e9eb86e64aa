import { delay, isErrno, messageOf } from "@peapod/kit";
import { EngineError } from "../../errors.ts";
import { type NetlinkAnswer, type NetlinkRequest, NetlinkSocket } from "../../linux/netlink.ts";
import { hasDevice, writeSysctl } from "./bridge.ts";
import { podMac } from "../names.ts";
import type { PodAddress } from "../network.ts";
import type { NetworkNamespace } from "./network-namespace.ts";
import {
  addAddress,
  addDefaultRoute,
  addVeth,
  getLink,
  indexOf,
  isForwarding,
  isOperational,
  joinBridge,
  removeLink,
  setHairpin,
  setUp,
} from "./rtnetlink.ts";

const READY_TIMEOUT_MS = 1_000;
const READY_POLL_MS = 2;

export interface LinkOptions {
  readonly bridge: string;
  /** The host's end. */
  readonly device: string;
  readonly address: PodAddress;
  readonly mtu: number;
  readonly home: NetworkNamespace;
  readonly pod: NetworkNamespace;
}

/**
 * Links a pod to the bridge: inside, the pair is made (its other end in our namespace) and set up with address and route;
 * outside, the other end joins the bridge. What an earlier, half-made try left is removed first. Asked of the kernel directly:
 * as two runs of ip(8) it takes 7 ms, nine tenths of them for starting the programs, in every pod's start.
 *
 * eth0 has no IPv6 address: the default for new devices is switched off in the pod, which leaves loopback's `::1`.
 * hairpin: where br_netfilter is loaded (Docker does), a pod's packet to its own published port is translated while it is
 * bridged, and must go back out of the port it came by.
 */
export async function linkPod(options: LinkOptions): Promise<void> {
  const { bridge, device, address, mtu, home, pod } = options;
  if (hasDevice(device)) await unlinkPod(device);
  using inside = pod.run(home, () => {
    writeSysctl("net/ipv6/conf/default/disable_ipv6", "1");
    return new NetlinkSocket();
  });
  using outside = new NetlinkSocket();
  const pair = addVeth({ name: "eth0", mac: podMac(address.ip), mtu, peer: device, peerNamespaceFd: home.fd });
  const index = indexOf((await ask(inside, [pair, getLink("eth0")]))[0]);
  writeSysctl(`net/ipv6/conf/${device}/disable_ipv6`, "1");
  const bridgeIndex = indexOf((await ask(outside, [getLink(bridge)]))[0]);
  const configure = [
    setUp("lo"),
    addAddress(index, address.ip, address.prefixLength),
    setUp("eth0"),
    addDefaultRoute(index, address.gateway),
  ];
  // Both to their end: the sockets are closed after this.
  const results = await Promise.allSettled([ask(inside, configure), ask(outside, [joinBridge(device, bridgeIndex), setHairpin(device)])]);
  for (const result of results) if (result.status === "rejected") throw result.reason;
  await until(isForwarding, outside, device);
  await until(isOperational, inside, "eth0");
}

/** Puts the host's end of a pod's link back on the bridge, and up. */
export async function rejoinBridge(bridge: string, device: string): Promise<void> {
  using socket = new NetlinkSocket();
  const bridgeIndex = indexOf((await ask(socket, [getLink(bridge)]))[0]);
  await ask(socket, [joinBridge(device, bridgeIndex), setHairpin(device)]);
}

/**
 * The kernel notes in its own time that a link is up, mostly at once, later while others hold its network lock. Before that the bridge does
 * not pass its packets on, and the device whose peer came up second drops what it is given to send: a pod that starts
 * before loses its first packets, and TCP waits a second before it tries again.
 */
async function until(isReady: (answer: NetlinkAnswer | undefined) => boolean, socket: NetlinkSocket, device: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < READY_TIMEOUT_MS; waitedMs += READY_POLL_MS) {
    if (isReady((await ask(socket, [getLink(device)]))[0])) return;
    await delay(READY_POLL_MS);
  }
}

/** Removes the host's end of a pod's link, and with it the pod's. Safe to repeat. */
export async function unlinkPod(device: string): Promise<void> {
  using socket = new NetlinkSocket();
  try {
    await socket.request([removeLink(device)]);
  } catch (cause) {
    if (!isErrno(cause, "ENODEV")) throw failed(cause);
  }
}

async function ask(socket: NetlinkSocket, requests: readonly NetlinkRequest[]): ReturnType<NetlinkSocket["request"]> {
  try {
    return await socket.request(requests);
  } catch (cause) {
    throw failed(cause);
  }
}

function failed(cause: unknown): EngineError {
  return new EngineError("NETWORK_FAILED", `Cannot connect the pod to its network: ${messageOf(cause)}`, { cause });
}
