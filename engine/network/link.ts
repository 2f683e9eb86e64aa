import { hasDevice, removeDevices, writeSysctl } from "./bridge.ts";
import { runIpBatch } from "./ip-command.ts";
import { podMac } from "./names.ts";
import type { PodAddress } from "./network.ts";
import type { NetworkNamespace } from "./network-namespace.ts";

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
 * Links a pod to the bridge, in two processes: inside, the pair is made (its other end in our namespace) and set up with address
 * and route; outside, the other end joins the bridge. What an earlier, half-made try left is removed first.
 *
 * eth0 has no IPv6 address: the default for new devices is switched off in the pod, which leaves loopback's `::1`.
 * hairpin: where br_netfilter is loaded (Docker does), a pod's packet to its own published port is translated while it is
 * bridged, and must go back out of the port it came by.
 */
export async function linkPod(options: LinkOptions): Promise<void> {
  const { bridge, device, address, mtu, home, pod } = options;
  if (hasDevice(device)) await removeDevices([device]);
  const doing = "Cannot connect the pod to its network";
  await pod.run(home, () => {
    writeSysctl("net/ipv6/conf/default/disable_ipv6", "1");
    return runIpBatch(doing, [
      `link add eth0 address ${podMac(address.ip)} mtu ${mtu} type veth peer name ${device} mtu ${mtu} netns ${home.path}`,
      "link set lo up",
      `addr add ${address.ip}/${address.prefixLength} brd + dev eth0`,
      "link set eth0 up",
      `route add default via ${address.gateway} dev eth0`,
    ]);
  });
  writeSysctl(`net/ipv6/conf/${device}/disable_ipv6`, "1");
  await runIpBatch(doing, [`link set ${device} master ${bridge} up`, `link set ${device} type bridge_slave hairpin on`]);
}
