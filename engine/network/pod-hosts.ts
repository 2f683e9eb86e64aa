export interface PodHosts {
  readonly hostname: string;
  /** The pod's subdomain and the cluster's domain, such as `db.default.svc.cluster.local`. */
  readonly domain?: string;
  readonly ip: string;
  readonly hostAliases: readonly { readonly ip: string; readonly hostnames?: readonly string[] }[];
}

/** A pod's /etc/hosts, as the kubelet writes it (pkg/kubelet/kubelet_pods.go): its first line tells programs whose file this is. */
export function podHosts({ hostname, domain, ip, hostAliases }: PodHosts): string {
  const names = domain === undefined || domain === "" ? [hostname] : [`${hostname}.${domain}`, hostname];
  const lines = [
    "# Kubernetes-managed hosts file.",
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
    [ip, ...names].join("\t"),
  ];
  if (hostAliases.length > 0) {
    lines.push("", "# Entries added by HostAliases.");
    for (const alias of hostAliases) lines.push([alias.ip, ...(alias.hostnames ?? [])].join("\t"));
  }
  return `${lines.join("\n")}\n`;
}
