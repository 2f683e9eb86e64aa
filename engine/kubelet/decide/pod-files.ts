import type { Pod } from "@peapod/api";

/** The name of a pod inside it: `spec.hostname`, else its own, cut to the kernel's 63 bytes. */
export function podHostname(pod: Pod): string {
  const name = pod.spec?.hostname ?? pod.metadata.name ?? "";
  return name.slice(0, 63).replace(/[-.]+$/, "");
}

/** The content of a pod's /etc/hosts, as the kubelet writes it. */
export function hostsFile(pod: Pod, podIP: string): string {
  const hostname = podHostname(pod);
  const lines = [
    "# Kubernetes-managed hosts file.",
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
    `${podIP}\t${hostname}`,
  ];
  const aliases = (pod.spec?.hostAliases ?? []).map(({ ip, hostnames = [] }) => [ip, ...hostnames].join("\t"));
  if (aliases.length > 0) lines.push("", "# Entries added by HostAliases.", ...aliases);
  return `${lines.join("\n")}\n`;
}
