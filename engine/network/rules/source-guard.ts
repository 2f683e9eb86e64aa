import { isErrno, type Logger } from "@peapod/kit";
import { hasCode } from "../../errors.ts";
import { parseAddress } from "../cidr.ts";
import { type NetworkNames, podMac } from "../names.ts";
import { NftTable } from "./nft-table.ts";
import { elementsClause } from "./rules.ts";
import { AF_BRIDGE, changeElements, type SetElement } from "./set-elements.ts";

/** Who a pod is on the bridge: its port, and its address, from which its hardware address follows. */
export interface Source {
  readonly device: string;
  readonly ip: string;
}

const DEVICE_NAME_BYTES = 16; // IFNAMSIZ

/**
 * Binds each port of the bridge to its pod's addresses: what comes by it with another hardware or IP address, or says in ARP that it has one, is
 * dropped before the bridge learns from it. So no pod speaks or listens in the name of another, or of the machine. Two sets
 * hold who is who, so that a pod's start changes two elements and no rule. The bridge carries IPv4 and ARP, nothing else.
 */
export class SourceGuard {
  readonly table: NftTable;
  readonly #tableName: string;
  readonly #log: Logger;
  /** What the sets are to hold. Changed in the table's turns. */
  readonly #sources = new Map<string, Source>();
  /** Undefined until the table was made once. */
  #isSupported: boolean | undefined;

  constructor({ names, log }: { names: NetworkNames; log: Logger }) {
    this.#tableName = names.table;
    this.#log = log;
    this.table = new NftTable({
      family: "bridge",
      name: names.table,
      render: () => sourceRules(names.table, [...this.#sources.values()]),
      elements: () => elementsOf([...this.#sources.values()]),
      log,
    });
  }

  /** Makes the table anew with these. A kernel without nftables' bridge family does without: then only addresses that are no pod's are dropped. */
  async restore(sources: Iterable<readonly [podUid: string, source: Source]>): Promise<void> {
    await this.table.inTurn(async () => {
      for (const [podUid, source] of sources) this.#sources.set(podUid, source);
      try {
        await this.table.replace();
        this.#isSupported = true;
      } catch (cause) {
        if (!hasCode(cause, "NETWORK_FAILED")) throw cause;
        this.#isSupported = false;
        this.#log.warn("pods cannot be kept from taking each other's addresses: nftables' bridge family does not work here", { cause });
      }
    });
  }

  /** Lets a pod send as itself. To be done before it sends. */
  async admit(podUid: string, source: Source): Promise<void> {
    await this.table.inTurn(async () => {
      this.#sources.set(podUid, source);
      if (this.#isSupported !== true) return;
      try {
        await changeElements("add", { family: AF_BRIDGE, name: this.#tableName }, keysOf(source));
      } catch (cause) {
        if (!isErrno(cause, "ENOENT")) throw cause;
        await this.table.replace(); // somebody removed the table
      }
    });
  }

  /** Takes that back. Safe to repeat. */
  async dismiss(podUid: string): Promise<void> {
    await this.table.inTurn(async () => {
      const source = this.#sources.get(podUid);
      if (source === undefined) return;
      try {
        if (this.#isSupported === true) await changeElements("delete", { family: AF_BRIDGE, name: this.#tableName }, keysOf(source));
      } catch (cause) {
        if (!isErrno(cause, "ENOENT")) throw cause; // the table, or the element, is gone already
      }
      this.#sources.delete(podUid);
    });
  }

  /** Makes the table anew where others damaged it. */
  async ensure(): Promise<void> {
    if (this.#isSupported === true) await this.table.ensure();
  }
}

function sourceRules(table: string, sources: readonly Source[]): string {
  const { ports, pods } = elementsOf(sources, '"');
  return `table bridge ${table} {
  set ports {
    type ifname
    ${elementsClause(ports)}
  }
  set pods {
    type ifname . ether_addr . ipv4_addr
    ${elementsClause(pods)}
  }
  chain prerouting {
    type filter hook prerouting priority -300; policy accept;
    iifname @ports goto sources
  }
  chain sources {
    iifname . ether saddr . ip saddr @pods accept
    iifname . ether saddr . arp saddr ip @pods iifname . arp saddr ether . arp saddr ip @pods accept
    drop
  }
}
`;
}

function elementsOf(sources: readonly Source[], quote = ""): Record<"ports" | "pods", string[]> {
  return {
    ports: sources.map(({ device }) => `${quote}${device}${quote}`),
    pods: sources.map(({ device, ip }) => `${quote}${device}${quote} . ${podMac(ip)} . ${ip}`),
  };
}

function keysOf({ device, ip }: Source): SetElement[] {
  const port = Buffer.alloc(DEVICE_NAME_BYTES);
  port.write(device, "latin1");
  const address = Buffer.alloc(4);
  address.writeUInt32BE(parseAddress(ip) ?? 0);
  const mac = Buffer.from(podMac(ip).replaceAll(":", ""), "hex");
  return [
    { set: "ports", key: [port] },
    { set: "pods", key: [port, mac, address] },
  ];
}
