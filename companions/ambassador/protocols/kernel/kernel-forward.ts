import type { CancelSignal } from "../../flow/cancel.ts";
import { readFile, writeFile } from "node:fs/promises";
import { isIPv4 } from "node:net";
import { abortAfter, delay, isAbort, isErrno, type Logger } from "@peapod/kit";
import type { TcpListenerConfig } from "../../config/config.ts";
import { AmbassadorError } from "../../errors.ts";
import { dial } from "../../flow/wire.ts";
import type { Target, Upstream } from "../../upstream/upstream.ts";
import { applyScript, readTable } from "./nft.ts";
import { countForwarded, deleteScript, retargetScript, type Rules, tableScript } from "./ruleset.ts";

/** How often the rules are brought to what the upstream says: as long may new connections go to an endpoint that is down. */
const FOLLOW_EVERY_MS = 1_000;

const routeLocalnet = "/proc/sys/net/ipv4/conf/all/route_localnet";

/** What the kernel has forwarded since the start. Bytes are those of packets, headers and repeats included. */
export interface KernelStats {
  readonly connections: number;
  readonly refused: number;
  readonly fromClientBytes: number;
  readonly toClientBytes: number;
  /** Now; undefined where the kernel does not show its connections (/proc/net/nf_conntrack). */
  readonly open: number | undefined;
}

/** A listener whose new connections the kernel forwards by itself, to the endpoint that the upstream would choose. */
export interface KernelForward {
  /** Where new connections go; undefined: to the ambassador's own listener, since no endpoint is well. */
  readonly endpoint: string | undefined;
  /** Throws LISTEN_FAILED, as where somebody took the table away. */
  stats(signal: AbortSignal): Promise<KernelStats>;
  /** Brings the rules to the upstream's state until the signal is aborted; from then on new connections go to the ambassador's own listener. */
  run(signal: AbortSignal): Promise<void>;
  /** Takes the rules away, and with them every connection that still runs. Safe to repeat. */
  close(): Promise<void>;
}

/**
 * Puts a plain listener into the kernel: nftables in this network namespace send what is for its address straight to the upstream. The
 * ambassador must listen at the same address all the while: what the rules do not take, since no endpoint is well or the rules were
 * removed, comes to it as ever, with its retries and its errors. Everything is in one table of the listener's own; one that a crash left
 * is replaced, anybody else's of that name is left alone.
 *
 * Only for clients on loopback and IPv4, and `first-available`. The endpoint is connected to, once a second, while new connections come,
 * always where the upstream has no health check, and before the rules change to it: retries are not to be had, and a client may meet an
 * endpoint that has died, but then it is left within the second. One that does not answer at all takes the time to connect.
 * Throws CONFIG_INVALID for what the kernel cannot do, LISTEN_FAILED without `nft`, NET_ADMIN, or a `route_localnet` that is or can be set.
 */
export async function startKernelForward(
  listener: TcpListenerConfig,
  upstream: Upstream,
  { log, signal, followEveryMs = FOLLOW_EVERY_MS }: { readonly log: Logger; readonly signal: AbortSignal; readonly followEveryMs?: number },
): Promise<KernelForward> {
  const listen = whereItCan(listener);
  const found = await readTable(listener.name, signal);
  if (found !== undefined && !found.isOurs)
    throw new AmbassadorError("LISTEN_FAILED", `Cannot forward listener "${listener.name}" in the kernel: its table is somebody else's`);
  if (found !== undefined) log.info("rules of an earlier run are replaced");
  let target = await choose(listener, upstream, { trusted: undefined, signal });
  let connected = 0;
  const ownsRouting = (await routeLoopback()) || found?.ownsRouting === true;
  const { connections } = listener.limits;
  const rules = (): Rules => ({ name: listener.name, listen, target: addressOf(target), connections, ownsRouting });
  try {
    await applyScript(tableScript(rules()), signal);
  } catch (cause) {
    if (ownsRouting) await writeFile(routeLocalnet, "0");
    throw cause;
  }
  const retarget = async (next: Target | undefined): Promise<void> => {
    target = next;
    if (!(await isInPlace(listener.name, abortAfter(5_000)))) {
      log.warn("rules were removed by somebody else, and are made again");
      await applyScript(tableScript(rules()), abortAfter(5_000));
    } else await applyScript(retargetScript(rules()), abortAfter(5_000));
    log.info("kernel forwards", { endpoint: next?.endpoint });
  };
  const follow = async (until: AbortSignal): Promise<void> => {
    try {
      const table = await readTable(listener.name, until);
      const before = connected;
      connected = table?.counters.get("connections")?.packets ?? 0;
      const next = await choose(listener, upstream, { trusted: connected === before ? target : undefined, signal: until });
      if (keyOf(next) !== keyOf(target) || table?.isOurs !== true) await retarget(next);
    } catch (cause) {
      if (!(cause instanceof AmbassadorError)) throw cause;
      log.error("rules cannot be kept, trying again", { code: cause.code, error: cause.message });
    }
  };
  let isClosed = false;
  return {
    get endpoint() {
      return target?.endpoint;
    },
    stats: (within) => readStats(listener.name, listen, within),
    run: async (until) => {
      try {
        for (;;) {
          await delay(followEveryMs, until);
          await follow(until);
        }
      } catch (cause) {
        if (!isAbort(cause, until)) throw cause;
      }
      if (!isClosed) await retarget(undefined);
    },
    close: async () => {
      if (isClosed) return;
      isClosed = true;
      const within = abortAfter(5_000);
      if (await isInPlace(listener.name, within)) await applyScript(deleteScript(listener.name), within);
      if (ownsRouting) await writeFile(routeLocalnet, "0");
    },
  };
}

function whereItCan({ name, listen, upstream, serverTls, acceptProxyProtocol }: TcpListenerConfig): Rules["listen"] {
  const cannot = (what: string): AmbassadorError =>
    new AmbassadorError("CONFIG_INVALID", `Listener "${name}": datapath kernel ${what}; say "datapath: user"`);
  if (listen.kind !== "tcp" || !isIPv4(listen.host) || !listen.host.startsWith("127.")) throw cannot("listens only on 127.0.0.0/8");
  if (upstream.endpoints.some(({ kind }) => kind !== "tcp")) throw cannot("knows no UNIX sockets");
  if (upstream.strategy !== "first-available") throw cannot("knows only the strategy first-available");
  if (upstream.healthCheck?.closeConnections === true) throw cannot("ends no connections for a health check");
  const speaksTls = serverTls !== undefined || (upstream.tls !== undefined && upstream.tls.mode !== "disable");
  if (speaksTls || acceptProxyProtocol || upstream.sendProxyProtocol !== undefined) throw cannot("passes bytes as they are");
  return listen;
}

/** The endpoint that a connection would go to now. Undefined where none may. With a health check, `trusted` is not connected to. */
async function choose(
  { upstream: { healthCheck, keepAliveMs } }: TcpListenerConfig,
  upstream: Upstream,
  { trusted, signal }: { readonly trusted: Target | undefined; readonly signal: AbortSignal },
): Promise<Target | undefined> {
  const open = async (target: Target, within: CancelSignal): Promise<Target> => {
    if (addressOf(target) === undefined) throw new AmbassadorError("UPSTREAM_UNREACHABLE", `${target.endpoint} has no IPv4 address`);
    const isTrusted = healthCheck !== undefined && keyOf(target) === keyOf(trusted);
    if (!isTrusted) (await dial(target.address, { keepAliveMs }, within)).destroy();
    return target;
  };
  try {
    using lease = await upstream.connect(open, { signal });
    return lease.target;
  } catch (cause) {
    if (cause instanceof AmbassadorError) return undefined; // the upstream keeps and shows why
    throw cause;
  }
}

function addressOf(target: Target | undefined): Rules["target"] {
  const address = target?.address;
  return address?.kind === "tcp" && isIPv4(address.host) ? { host: address.host, port: address.port } : undefined;
}

function keyOf(target: Target | undefined): string {
  const address = addressOf(target);
  return address === undefined ? "" : `${address.host}:${address.port}`;
}

async function isInPlace(listener: string, signal: AbortSignal): Promise<boolean> {
  return (await readTable(listener, signal))?.isOurs === true;
}

/** Lets packets from 127/8 be routed in this namespace; gives whether they were not before. Throws LISTEN_FAILED. */
async function routeLoopback(): Promise<boolean> {
  const before = (await readFile(routeLocalnet, "utf8")).trim();
  if (before !== "0") return false;
  try {
    await writeFile(routeLocalnet, "1");
  } catch (cause) {
    const advice = 'add the sysctl net.ipv4.conf.all.route_localnet=1 to the pod, or say "datapath: user"';
    throw new AmbassadorError("LISTEN_FAILED", `Cannot forward in the kernel: /proc/sys is read-only; ${advice}`, { cause });
  }
  return true;
}

async function readStats(listener: string, listen: Rules["listen"], signal: AbortSignal): Promise<KernelStats> {
  const table = await readTable(listener, signal);
  if (table?.isOurs !== true) throw new AmbassadorError("LISTEN_FAILED", `The kernel's rules of listener "${listener}" are gone`);
  const counter = (name: string): { packets: number; bytes: number } => table.counters.get(name) ?? { packets: 0, bytes: 0 };
  return {
    connections: counter("connections").packets,
    refused: counter("refused").packets,
    fromClientBytes: counter("connections").bytes + counter("from_client").bytes, // the first packet of each, and the others
    toClientBytes: counter("to_client").bytes,
    open: await readOpen(listen),
  };
}

async function readOpen(listen: Rules["listen"]): Promise<number | undefined> {
  try {
    return countForwarded(await readFile("/proc/net/nf_conntrack", "utf8"), listen);
  } catch (cause) {
    if (isErrno(cause, "ENOENT") || isErrno(cause, "EACCES")) return undefined;
    throw cause;
  }
}
