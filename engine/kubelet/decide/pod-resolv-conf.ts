/** The C library reads three. */
const NAMESERVER_LIMIT = 3;

export interface ResolvConfSources {
  /** The machine's /etc/resolv.conf. */
  readonly host: string;
  /** systemd-resolved's list of its upstream servers; "" where there is none. */
  readonly upstream: string;
}

/**
 * A pod's resolv.conf from the machine's: its name servers but those on loopback, which in the pod is another one, and its search list and options.
 * Where only loopback servers are named, systemd-resolved's upstream servers stand in for them. Where none remain, the file names none, and says
 * so in a comment: asking a public server behind the owner's back would tell strangers the names that are asked for. IPv6 servers
 * are left out, pods have IPv4 only.
 */
export function podResolvConf({ host, upstream }: ResolvConfSources): string {
  const own = parse(host);
  const usable = own.nameservers.filter(isReachable);
  const nameservers = usable.length > 0 ? usable : parse(upstream).nameservers.filter(isReachable);
  const search = own.search.length > 0 ? own.search : parse(upstream).search;
  const lines = [
    ...(search.length > 0 ? [`search ${search.join(" ")}`] : []),
    ...nameservers.slice(0, NAMESERVER_LIMIT).map((server) => `nameserver ${server}`),
    ...(own.options.length > 0 ? [`options ${own.options.join(" ")}`] : []),
  ];
  if (nameservers.length === 0) {
    lines.unshift(
      "# The machine names no server that a pod could reach: those on its loopback are not the pod's.",
      "# Name one in the machine's /etc/resolv.conf.",
    );
    // Without a nameserver line the C library asks 127.0.0.1, which here is the pod itself: refused at once.
  }
  return `${lines.join("\n")}\n`;
}

interface ResolvConf {
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** resolv.conf(5): of `search` and `domain` the last one counts; options add up. */
function parse(text: string): ResolvConf {
  const nameservers: string[] = [];
  let search: string[] = [];
  const options: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    if (keyword === "nameserver" && values[0] !== undefined) nameservers.push(values[0]);
    else if (keyword === "search") search = values.filter((domain) => domain !== ".");
    else if (keyword === "domain") search = values.slice(0, 1);
    else if (keyword === "options") options.push(...values);
  }
  return { nameservers, search, options };
}

function isReachable(server: string): boolean {
  return /^\d+\.\d+\.\d+\.\d+$/.test(server) && !/^(127\.|0\.)/.test(server);
}
