import { ANY_BRIDGE, type NetworkNames } from "../names.ts";
import type { PortMapping } from "../network.ts";

/** A published port, with where it leads. */
export interface PublishedPort {
  readonly mapping: PortMapping;
  readonly podIP: string;
}

/**
 * The engine's table of what is published, and of who may send what to whom. Where it is replaced, packets meet the old or the new, and
 * connections that are open keep their translation, which conntrack holds.
 *
 * An address of the machine is any that routing calls local: 127.0.0.0/8 and the bridge's, too. What leaves by the bridge with a loopback
 * source (the machine's own to a published port) gets the bridge's address, as does what a pod sends to a pod through a published
 * port: the answer must come back this way to be translated back.
 *
 * `from_pods` keeps pods from what route_localnet would open, the machine's own loopback, and from speaking in the name of an address that is no
 * pod's. `forward` keeps everybody else from the pods: a neighbour of this machine can send it packets for any address, by a route. In come answers
 * to what pods asked, and what was published; pods of any engine of this machine reach each other. What is published on a loopback address is for
 * the machine itself, so that `prerouting`, where packets arrive, has nothing to do with those: routing drops them.
 */
export function tableRules(names: NetworkNames, podCIDR: string, ports: readonly PublishedPort[]): string {
  const { table, bridge } = names;
  const { ports_any: any, ports_at: at } = publishedElements(ports);
  const toPod = "dnat ip to";
  return `table ip ${table} {
  map ports_any {
    type inet_proto . inet_service : ipv4_addr . inet_service
    ${elementsClause(any)}
  }
  map ports_at {
    type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
    ${elementsClause(at)}
  }
  chain from_pods {
    type filter hook prerouting priority -300; policy accept;
    iifname "${bridge}" ip daddr 127.0.0.0/8 drop
    iifname "${bridge}" ip saddr != ${podCIDR} drop
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    oifname != "${bridge}" accept
    iifname "${ANY_BRIDGE}" accept
    ct state established,related accept
    ct status dnat accept
    drop
  }
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
    ip daddr 127.0.0.0/8 return
    jump published
  }
  chain output {
    type nat hook output priority -100; policy accept;
    jump published
  }
  chain published {
    fib daddr type != local return
    ${toPod} ip daddr . meta l4proto . th dport map @ports_at
    ${toPod} meta l4proto . th dport map @ports_any
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    oifname "${bridge}" ip saddr 127.0.0.0/8 masquerade
    ip saddr ${podCIDR} ip daddr ${podCIDR} ct status dnat masquerade
    ip saddr ${podCIDR} oifname != "${bridge}" masquerade
  }
}
`;
}

/** Lines that publish ports in the table that is there. */
export function publishRules(table: string, ports: readonly PublishedPort[]): string {
  return ports.map((port) => `add element ip ${table} ${mapOf(port)} { ${element(port)} }\n`).join("");
}

/** Lines that take published ports back, whether they are there or not. */
export function unpublishRules(table: string, ports: readonly PublishedPort[]): string {
  return ports
    .map((port) => {
      const where = `element ip ${table} ${mapOf(port)}`;
      return `add ${where} { ${element(port)} }\ndelete ${where} { ${keyOf(port)} }\n`;
    })
    .join("");
}

/** Tells whether a port is published on every address. */
export function isAny(mapping: PortMapping): boolean {
  return mapping.hostIP === "" || mapping.hostIP === "0.0.0.0" || mapping.hostIP === "::";
}

/** What the table's maps hold, by map. */
export function publishedElements(ports: readonly PublishedPort[]): Record<"ports_any" | "ports_at", string[]> {
  const of = (map: string): string[] => ports.filter((port) => mapOf(port) === map).map(element);
  return { ports_any: of("ports_any"), ports_at: of("ports_at") };
}

/** A set's or a map's elements as its declaration has them. */
export function elementsClause(elements: readonly string[]): string {
  return elements.length === 0 ? "" : `elements = { ${elements.join(", ")} }`;
}

function mapOf({ mapping }: PublishedPort): string {
  return isAny(mapping) ? "ports_any" : "ports_at";
}

function element(port: PublishedPort): string {
  return `${keyOf(port)} : ${port.podIP} . ${port.mapping.containerPort}`;
}

function keyOf({ mapping }: PublishedPort): string {
  const key = `${mapping.protocol.toLowerCase()} . ${mapping.hostPort}`;
  return isAny(mapping) ? key : `${mapping.hostIP} . ${key}`;
}
