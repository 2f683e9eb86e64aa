import type { Link, LinkAddress } from "./rtnetlink.ts";

/** What there is on the machine. */
export interface LinksSeen {
  readonly links: readonly Link[];
  readonly addresses: readonly LinkAddress[];
}

/** What there should be. */
export interface LinksWanted {
  readonly bridge: string;
  /** The bridge's address. */
  readonly gateway: string;
  readonly prefixLength: number;
  /** The devices of connected pods, by pod. */
  readonly devices: ReadonlyMap<string, string>;
}

/** What is to be mended. */
export interface LinkDamage {
  /** It is gone, down, or without its address. */
  readonly isBridgeBroken: boolean;
  /** Pods whose device is down, or not on the bridge. */
  readonly apart: readonly string[];
  /** Pods whose device is gone. */
  readonly lost: readonly string[];
}

/** Compares what there is with what there should be. */
export function findLinkDamage({ links, addresses }: LinksSeen, wanted: LinksWanted): LinkDamage {
  const byName = new Map(links.map((link) => [link.name, link]));
  const bridge = byName.get(wanted.bridge);
  const hasAddress = addresses.some(
    ({ index, ip, prefixLength }) => index === bridge?.index && ip === wanted.gateway && prefixLength === wanted.prefixLength,
  );
  const apart: string[] = [];
  const lost: string[] = [];
  for (const [podUid, device] of wanted.devices) {
    const link = byName.get(device);
    if (link === undefined) lost.push(podUid);
    else if (!link.isUp || link.master !== bridge?.index) apart.push(podUid);
  }
  return { isBridgeBroken: bridge?.isUp !== true || !hasAddress, apart, lost };
}
