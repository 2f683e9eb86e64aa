import { readTextIfPresent } from "@peapod/kit";
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

/** What a resolver's configuration says. */
export interface ResolverConfig {
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

const MAXIMUM_NAMESERVERS = 3;
const MAXIMUM_SEARCHES = 32;

/** The content of a pod's /etc/resolv.conf: the node's, or nothing of it for dnsPolicy None, and what its dnsConfig adds. */
export function resolverFile(pod: Pod, node: ResolverConfig): string {
  const { dnsPolicy, dnsConfig = {} } = pod.spec ?? {};
  const base = dnsPolicy === "None" ? { nameservers: [], searches: [], options: [] } : node;
  const nameservers = unique([...base.nameservers, ...(dnsConfig.nameservers ?? [])]).slice(0, MAXIMUM_NAMESERVERS);
  const searches = unique([...base.searches, ...(dnsConfig.searches ?? [])]).slice(0, MAXIMUM_SEARCHES);
  const added = (dnsConfig.options ?? []).flatMap(({ name, value }) =>
    name === undefined ? [] : [value === undefined || value === "" ? name : `${name}:${value}`],
  );
  const overridden = new Set(added.map(optionName));
  const options = [...base.options.filter((option) => !overridden.has(optionName(option))), ...added];
  const lines = [
    ...(searches.length > 0 ? [`search ${searches.join(" ")}`] : []),
    ...nameservers.map((nameserver) => `nameserver ${nameserver}`),
    ...(options.length > 0 ? [`options ${options.join(" ")}`] : []),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/** Reads a resolv.conf. Nameservers on the node's own loopback are left out: in a pod, loopback is the pod's. */
export function parseResolverConfig(text: string): ResolverConfig {
  const words = text.split("\n").map((line) => line.trim().split(/\s+/));
  const of = (name: string): string[] => words.filter(([first]) => first === name).flatMap(([, ...rest]) => rest);
  const nameservers = of("nameserver").filter((address) => !/^(127\.|::1$|0\.0\.0\.0$)/.test(address));
  const search = words.findLast(([first]) => first === "search" || first === "domain") ?? [];
  return { nameservers, searches: search.slice(1), options: of("options") };
}

const RESOLVER_PATHS = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/** The node's resolver; where it asks a local stub, what that stub asks. */
export async function readNodeResolver(paths: readonly string[] = RESOLVER_PATHS): Promise<ResolverConfig> {
  let config: ResolverConfig = { nameservers: [], searches: [], options: [] };
  for (const path of paths) {
    config = parseResolverConfig((await readTextIfPresent(path)) ?? "");
    if (config.nameservers.length > 0) break;
  }
  return config;
}

function optionName(option: string): string {
  return option.split(":")[0] ?? option;
}

function unique(list: readonly string[]): string[] {
  return [...new Set(list)];
}
