import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isErrno, type Logger, type Scope, writeFileAtomic } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import { AddressBook } from "./address-book.ts";
import { enableForwarding, ensureBridge, hasDevice, outwardMtu, portsOfBridge, removeBridge, removeDevices } from "./links/bridge.ts";
import { BridgeNetwork, canReconnect } from "./bridge-network.ts";
import { chooseCidr, parseRoutes, type Route } from "./choose-cidr.ts";
import { type Cidr, formatCidr, overlaps, parseCidr } from "./cidr.ts";
import { readIp } from "./ip-command.ts";
import { withMachineLock } from "./machine-lock.ts";
import { deviceName, type NetworkNames, networkNames } from "./names.ts";
import type { PodNetwork } from "./network.ts";

export interface BridgeNetworkOptions {
  /** The network's choice of addresses and the pods' reservations lie in `network/` below it. */
  readonly stateDir: string;
  /** What every name on the machine is made of. */
  readonly engineId: string;
  readonly log: Logger;
  /** Its closing removes bridge and table where no pod holds an address, and else leaves the pods connected. */
  readonly scope: Scope;
  /** Default: a /24 free of the machine's routes, chosen once. */
  readonly podCIDR?: string;
  /** Engines of one machine take turns by it. Default /run/peapod-network.lock. */
  readonly lockPath?: string;
  /** How often to look whether others changed rules: one question to the kernel. Default 5 s. */
  readonly tendEveryMs?: number;
}

/**
 * Opens the node's pod network in the calling thread's network namespace: makes or adopts its bridge and its nftables table. Pods
 * connected by an earlier engine process stay connected, without a gap. Switches IPv4 forwarding on for the machine if it is off.
 * Throws NETWORK_FAILED, such as where no free block of addresses is left, and MACHINE_LACKS without ip or nft.
 */
export async function openBridgeNetwork(options: BridgeNetworkOptions): Promise<PodNetwork> {
  const { engineId, log, scope } = options;
  const directory = join(options.stateDir, "network");
  const lockPath = options.lockPath ?? "/run/peapod-network.lock";
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const names = networkNames(engineId);
  if (enableForwarding()) log.info("IPv4 forwarding switched on for the machine, pods need it");
  const book = await withMachineLock(lockPath, scope.signal, async () => {
    const cidr = await settleCidr({
      directory,
      names,
      engineId,
      log,
      ...(options.podCIDR === undefined ? {} : { asked: options.podCIDR }),
    });
    await ensureBridge(names, cidr);
    return new AddressBook(directory, cidr);
  });
  try {
    await forgetLost(book, names, engineId);
  } catch (cause) {
    // Whoever connects a pod by one of these devices removes it first.
    log.warn("devices without a pod are not removed", { bridge: names.bridge, cause });
  }
  const network = new BridgeNetwork({
    book,
    names,
    engineId,
    lockPath,
    log,
    mtu: await outwardMtu(),
    tendEveryMs: options.tendEveryMs ?? 5_000,
  });
  scope.defer(async () => {
    try {
      await network.close();
    } catch (cause) {
      log.error("cannot remove the pod network; the next engine with this state directory finds it and can", {
        bridge: names.bridge,
        cause,
      });
    }
  });
  await network.restore();
  return network;
}

interface CidrQuestion {
  readonly directory: string;
  readonly names: NetworkNames;
  readonly engineId: string;
  readonly asked?: string;
  readonly log: Logger;
}

/**
 * The pods' block: the stored one while pods are connected or nothing speaks against it, else a new one. The bridge of
 * one that is given up goes, and with it the reservations, since nobody is connected by them.
 */
async function settleCidr(question: CidrQuestion): Promise<Cidr> {
  const { directory, names, engineId, asked, log } = question;
  const routes = parseRoutes(await readIp("Cannot read the routes", ["-4", "route", "show", "table", "all"]));
  const foreign = routes.filter((route) => route.device !== names.bridge);
  const wanted = asked === undefined ? undefined : parseWanted(asked);
  const stored = readStored(directory);
  if (stored !== undefined) {
    const inTheWay = foreign.find((route) => overlaps(route.destination, stored));
    const isWanted = wanted === undefined || formatCidr(wanted) === formatCidr(stored);
    if (inTheWay === undefined && isWanted) return stored;
    const reason = inTheWay === undefined ? `${asked} is asked for` : describe(inTheWay);
    if (isLive(new AddressBook(directory, stored), engineId)) {
      log.warn("the pod network stays as it is while pods are connected", { podCIDR: formatCidr(stored), reason });
      return stored;
    }
    log.warn("the pod network moves", { from: formatCidr(stored), reason });
    await removeBridge(names);
  }
  const cidr =
    wanted ??
    chooseCidr(
      foreign.map((route) => route.destination),
      Number.parseInt(engineId.replace(/[^0-9a-f]/gi, "0").slice(0, 8), 16),
    );
  if (cidr === undefined)
    throw new EngineError(
      "NETWORK_FAILED",
      "Every private block of addresses is routed somewhere on this machine: name one for the pods with --pod-cidr",
    );
  const inTheWay = wanted === undefined ? undefined : foreign.find((route) => overlaps(route.destination, wanted));
  if (inTheWay !== undefined)
    throw new EngineError(
      "NETWORK_FAILED",
      `The pod network ${formatCidr(cidr)} would cover what this machine routes elsewhere: ${describe(inTheWay)}; choose another with --pod-cidr`,
    );
  await writeFileAtomic(join(directory, "network.json"), `${JSON.stringify({ podCIDR: formatCidr(cidr) })}\n`, { sync: true });
  return cidr;
}

function parseWanted(asked: string): Cidr {
  const cidr = parseCidr(asked);
  if (cidr !== undefined && cidr.prefixLength >= 8 && cidr.prefixLength <= 29) return cidr;
  throw new EngineError(
    "NETWORK_FAILED",
    `The pod network ${JSON.stringify(asked)} is no IPv4 block between /8 and /29, such as 10.88.7.0/24`,
  );
}

function readStored(directory: string): Cidr | undefined {
  try {
    const stored: unknown = JSON.parse(readFileSync(join(directory, "network.json"), "utf8"));
    return typeof stored === "object" && stored !== null && "podCIDR" in stored ? parseCidr(String(stored.podCIDR)) : undefined;
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return undefined;
    throw cause;
  }
}

function describe(route: Route): string {
  return `a route to ${formatCidr(route.destination)}${route.device === "" ? "" : ` by ${route.device}`} exists`;
}

function isLive(book: AddressBook, engineId: string): boolean {
  return book.pods().some((podUid) => hasDevice(deviceName(engineId, podUid)));
}

/**
 * Connections whose namespace is gone too (a reboot, a sandbox that ended), and devices that no reservation accounts for. One whose device alone
 * is gone was damaged, and is mended.
 */
async function forgetLost(book: AddressBook, names: NetworkNames, engineId: string): Promise<void> {
  const known = new Set<string>();
  for (const [podUid, reservation] of book.entries()) {
    const device = deviceName(engineId, podUid);
    if (reservation.connection === undefined) continue;
    if (hasDevice(device)) known.add(device);
    else if (!canReconnect(reservation.connection)) book.setConnection(podUid, undefined);
  }
  await removeDevices((await portsOfBridge(names)).filter((device) => device.startsWith("ppv") && !known.has(device)));
}
