import type { Logger } from "@peapod/kit";
import { NetlinkChanges, NetlinkSocket } from "../../linux/netlink.ts";
import { enableForwarding, ensureBridge, isBridgeSet } from "./bridge.ts";
import { type Cidr, formatAddress } from "../cidr.ts";
import { findLinkDamage, type LinkDamage } from "./link-damage.ts";
import type { NetworkNames } from "../names.ts";
import { listAddresses, listLinks, parseLink, parseLinkAddress } from "./rtnetlink.ts";

/** From linux/rtnetlink.h: devices, and their addresses. */
const GROUPS = [1, 5];

export interface LinkTenderParts {
  readonly names: NetworkNames;
  readonly cidr: Cidr;
  /** The devices of connected pods, by pod, as they should be now. */
  readonly devices: () => ReadonlyMap<string, string>;
  /** Puts a pod's device back on the bridge, and up; gives whether there was anything to do. */
  readonly rejoin: (podUid: string) => Promise<boolean>;
  /** Makes a pod's device anew; likewise. */
  readonly relink: (podUid: string) => Promise<boolean>;
  readonly log: Logger;
}

/**
 * Looks after forwarding, the bridge and the pods' devices, which others of the machine may take away, switch off or change. The kernel says
 * whether any device has changed; while none has, a look is a few small files.
 */
export class LinkTender implements Disposable {
  readonly #parts: LinkTenderParts;
  readonly #changes = new NetlinkChanges(GROUPS);
  /** Something was not found well, or never looked at. */
  #isSuspect = true;

  constructor(parts: LinkTenderParts) {
    this.#parts = parts;
  }

  /** Looks, and mends what it finds. What cannot be mended is logged, and tried again the next time. */
  async tend(): Promise<void> {
    const { names, cidr, log, rejoin, relink } = this.#parts;
    if (enableForwarding()) log.warn("IPv4 forwarding was switched off for the machine; on again, pods need it");
    const isSet = isBridgeSet(names);
    if (!this.#changes.take() && !this.#isSuspect && isSet) return;
    this.#isSuspect = true;
    let damage = await this.#look();
    if (damage.isBridgeBroken || !isSet) {
      log.warn("the pods' bridge was removed or changed by somebody else; mending it", { bridge: names.bridge });
      await ensureBridge(names, cidr);
      damage = await this.#look();
    }
    const isMended = [
      ...(await this.#mend(damage.apart, "a pod's device was taken off the bridge, or switched off, by somebody else; mended", rejoin)),
      ...(await this.#mend(damage.lost, "a pod's device was removed by somebody else; made anew", relink)),
    ];
    this.#isSuspect = isMended.includes(false);
  }

  [Symbol.dispose](): void {
    this.#changes[Symbol.dispose]();
  }

  async #mend(pods: readonly string[], message: string, mend: (podUid: string) => Promise<boolean>): Promise<boolean[]> {
    const { log } = this.#parts;
    const outcomes: boolean[] = [];
    for (const podUid of pods) {
      try {
        if (await mend(podUid)) log.warn(message, { podUid });
        outcomes.push(true);
      } catch (cause) {
        log.warn("cannot connect a pod again; trying later", { podUid, cause });
        outcomes.push(false);
      }
    }
    return outcomes;
  }

  async #look(): Promise<LinkDamage> {
    const { names, cidr, devices } = this.#parts;
    using socket = new NetlinkSocket();
    const links = (await socket.request([listLinks])).map(parseLink);
    const addresses = (await socket.request([listAddresses])).map(parseLinkAddress);
    const { bridge } = names;
    const gateway = formatAddress(cidr.base + 1);
    return findLinkDamage({ links, addresses }, { bridge, gateway, prefixLength: cidr.prefixLength, devices: devices() });
  }
}
