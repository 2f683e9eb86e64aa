import { createHash } from "node:crypto";

/** What the rules of one listener say. Addresses are IPv4. */
export interface Rules {
  readonly name: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** Where new connections go; undefined: to the ambassador itself, which listens at the same address. */
  readonly target: { readonly host: string; readonly port: number } | undefined;
  /** At a time; what is more is reset. */
  readonly connections: number;
  /** `route_localnet` was turned on for it, and is to be turned off again when the table goes. */
  readonly ownsRouting: boolean;
}

/** The listener's own table: by its name, so that the next start finds what a crash left. */
export function tableName(listener: string): string {
  return `ambassador-${createHash("sha256").update(listener).digest("hex").slice(0, 12)}`;
}

/** A counter that counts nothing: what makes a table ours. A table's comment would say it too, but older versions of nft keep that from JSON. */
const ownershipMark = "peapod_ambassador";
const routingMark = "owns_route_localnet";

/**
 * The whole table, in place of one that is there, in one transaction: for `nft -f -`. Connections that are there go on (the kernel keeps
 * where each goes), but the counters begin anew.
 *
 * A client on loopback has 127.0.0.1 as its source, which must not leave the machine: it is masqueraded. What comes from outside to 127/8 is
 * dropped, since `route_localnet`, without which the kernel routes none of this, would let it in.
 *
 * Chains that see every packet compare what is in its header first, where the header has the listener's address: on the way out before NAT
 * (-100), on the way in after it (100). A connection's first packet has no NAT yet, and is counted by the rule that gives it one.
 */
export function tableScript(rules: Rules): string {
  const { name, listen } = rules;
  const table = `ip ${tableName(name)}`;
  const toListener = `ip daddr ${listen.host} tcp dport ${listen.port}`;
  return `
table ${table}
delete table ${table}
table ${table} {
  counter ${ownershipMark} { }${rules.ownsRouting ? `\n  counter ${routingMark} { }` : ""}
  counter connections { }
  counter refused { }
  counter from_client { }
  counter to_client { }
  chain from_application {
    type filter hook output priority -150
    ${toListener} ct status dnat counter name from_client accept
    ${toListener} ct state new ct count over ${rules.connections} counter name refused reject with tcp reset
  }
  chain to_upstream {
    type nat hook output priority -100
    ${redirectRule(rules)}
  }
  chain own_source {
    type nat hook postrouting priority 100
    oifname != "lo" meta l4proto tcp ct status dnat ct original ip daddr ${listen.host} ct original proto-dst ${listen.port} masquerade
  }
  chain to_application {
    type filter hook input priority 110
    ip saddr ${listen.host} tcp sport ${listen.port} ct status dnat counter name to_client
  }
  chain outside {
    type filter hook prerouting priority -150
    iifname != "lo" ip daddr 127.0.0.0/8 drop
  }
}
`;
}

/** Only where new connections go, in one transaction. */
export function retargetScript(rules: Rules): string {
  const chain = `ip ${tableName(rules.name)} to_upstream`;
  const rule = redirectRule(rules);
  return `flush chain ${chain}\n${rule === "" ? "" : `add rule ${chain} ${rule}\n`}`;
}

/** Takes the table away; it must be there. */
export function deleteScript(listener: string): string {
  return `delete table ip ${tableName(listener)}\n`;
}

function redirectRule({ listen, target }: Rules): string {
  if (target === undefined) return "";
  const to = `${target.host}:${target.port}`;
  return `ip daddr ${listen.host} tcp dport ${listen.port} counter name connections dnat to ${to}`;
}

/** What `nft -j list table` says of a table. */
export interface TableFacts {
  readonly isOurs: boolean;
  readonly ownsRouting: boolean;
  readonly counters: ReadonlyMap<string, { readonly packets: number; readonly bytes: number }>;
}

/** Reads `nft -j list table`; throws for what is none. libnftables-json(5). */
export function parseTable(json: string): TableFacts {
  const { nftables } = JSON.parse(json) as { nftables: readonly NftObject[] }; // libnftables' own output
  const counters = nftables.flatMap(({ counter }) => (counter === undefined ? [] : [[counter.name, counter] as const]));
  const byName = new Map(counters);
  return { isOurs: byName.has(ownershipMark), ownsRouting: byName.has(routingMark), counters: byName };
}

interface NftObject {
  readonly counter?: { readonly name: string; readonly packets: number; readonly bytes: number };
}

/**
 * How many connections to the address the kernel forwards now, by /proc/net/nf_conntrack. Its first pair of addresses is as the client sent
 * them, its second as they come back: from somebody else, where the connection is forwarded.
 */
export function countForwarded(conntrack: string, listen: Rules["listen"]): number {
  const wanted = ` dst=${listen.host} sport=`;
  const back = `src=${listen.host} `;
  return conntrack.split("\n").filter((line) => {
    if (!/ tcp .* (?:ESTABLISHED|SYN_SENT|SYN_RECV|FIN_WAIT|CLOSE_WAIT|LAST_ACK) /.test(line)) return false;
    const [, first = "", second = ""] = line.split(/(?=src=)/);
    return (
      first.includes(wanted) &&
      first.includes(` dport=${listen.port} `) &&
      !(second.startsWith(back) && second.includes(` sport=${listen.port} `))
    );
  }).length;
}
