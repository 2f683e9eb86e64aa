import { readTextIfPresent } from "@peapod/kit";
import type { ResolvConfSources } from "../decide/pod-resolv-conf.ts";

/** Where systemd-resolved writes the servers it asks itself, when /etc/resolv.conf names only its own stub on loopback. */
const UPSTREAM_PATH = "/run/systemd/resolve/resolv.conf";

/** Reads what `podResolvConf` wants from this machine. */
export async function readResolvConf(): Promise<ResolvConfSources> {
  const [host, upstream] = await Promise.all([readTextIfPresent("/etc/resolv.conf"), readTextIfPresent(UPSTREAM_PATH)]);
  return { host: host ?? "", upstream: upstream ?? "" };
}
