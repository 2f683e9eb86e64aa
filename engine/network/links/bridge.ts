import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { isErrno } from "@peapod/kit";
import type { Cidr } from "../cidr.ts";
import { formatAddress } from "../cidr.ts";
import { readIp, runIpBatch } from "../ip-command.ts";
import type { NetworkNames } from "../names.ts";

/** What the bridge needs of the kernel besides: what is routed from and to it, and `127.0.0.1:hostPort`. */
const settings = ["forwarding", "route_localnet"] as const;

/** Tells whether a device is in this thread's network namespace: /proc/sys/net shows that one's, where /sys shows the mounter's. */
export function hasDevice(name: string): boolean {
  return existsSync(`/proc/sys/net/ipv4/conf/${name}`);
}

/**
 * Makes the bridge, or brings the one that is there to what it should be; pods on it notice nothing.
 * IPv4 alone: a pod's own `::1` needs nothing of it. route_localnet is set on the bridge only, where `127.0.0.1:hostPort` needs it.
 * Frames for the bridge itself (LLDP and the like, 01:80:c2:00:00:0x) pass no rule: unless told otherwise, it learns from them who is where.
 */
export async function ensureBridge(names: NetworkNames, cidr: Cidr): Promise<void> {
  const { bridge } = names;
  const gateway = `${formatAddress(cidr.base + 1)}/${cidr.prefixLength}`;
  await runIpBatch("Cannot make the pods' bridge", [
    ...(hasDevice(bridge) ? [] : [`link add ${bridge} address ${names.bridgeMac} type bridge`]),
    `link set ${bridge} type bridge no_linklocal_learn 1`,
    `addr replace ${gateway} brd + dev ${bridge}`,
  ]);
  // Before it goes up, so that it never has an IPv6 address.
  writeSysctl(`net/ipv6/conf/${bridge}/disable_ipv6`, "1");
  for (const setting of settings) writeSysctl(`net/ipv4/conf/${bridge}/${setting}`, "1");
  await runIpBatch("Cannot bring the pods' bridge up", [`link set ${bridge} up`]);
}

/** Tells whether the bridge is there with its settings. */
export function isBridgeSet({ bridge }: NetworkNames): boolean {
  return settings.every((setting) => isOn(`net/ipv4/conf/${bridge}/${setting}`));
}

/** Removes the bridge. Safe to repeat. */
export async function removeBridge(names: NetworkNames): Promise<void> {
  if (hasDevice(names.bridge)) await removeDevices([names.bridge]);
}

/** Removes devices that are there; one that goes by itself meanwhile is no failure. */
export async function removeDevices(devices: readonly string[]): Promise<void> {
  for (const device of devices) {
    try {
      await runIpBatch(`Cannot remove the network device ${device}`, [`link del ${device}`]);
    } catch (cause) {
      if (hasDevice(device)) throw cause;
    }
  }
}

/** The devices on the bridge. */
export async function portsOfBridge(names: NetworkNames): Promise<string[]> {
  const json = await readIp("Cannot list the bridge's devices", ["link", "show", "master", names.bridge]);
  const links = JSON.parse(json === "" ? "[]" : json) as { ifname?: string }[]; // ip's own output
  return links.flatMap((link) => link.ifname ?? []);
}

/** The MTU for pods: that of the device that leads out, so that nothing needs fragmenting there; 1500 where none does. */
export async function outwardMtu(): Promise<number> {
  const routes = JSON.parse((await readIp("Cannot read the default route", ["-4", "route", "show", "default"])) || "[]") as {
    dev?: string;
  }[];
  const device = routes[0]?.dev;
  if (device === undefined) return 1500;
  const links = JSON.parse((await readIp("Cannot read the MTU", ["link", "show", "dev", device])) || "[]") as { mtu?: number }[];
  return Math.min(Math.max(links[0]?.mtu ?? 1500, 576), 9000);
}

/** Switches forwarding on for the machine, which pods need; gives whether it was off. */
export function enableForwarding(): boolean {
  if (isOn("net/ipv4/ip_forward")) return false;
  writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
  return true;
}

/** Whether a switch below /proc/sys is there, and on. */
function isOn(path: string): boolean {
  try {
    return readFileSync(`/proc/sys/${path}`, "utf8").trim() === "1";
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return false;
    throw cause;
  }
}

/** Writes below /proc/sys; a kernel without the feature (IPv6 switched off) needs nothing written. */
export function writeSysctl(path: string, value: string): void {
  try {
    writeFileSync(`/proc/sys/${path}`, value, { flag: "r+" });
  } catch (cause) {
    if (!isErrno(cause, "ENOENT")) throw cause;
  }
}
