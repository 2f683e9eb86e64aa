import { readFileSync } from "node:fs";
import { isIP, Socket } from "node:net";
import { contain, startTimer } from "@peapod/kit";
import type { Address } from "../../frame/address.ts";
import { AmbassadorError } from "../errors.ts";
import type { NativeHandle } from "./native.ts";
import type { Acceptor, ListenOptions } from "./acceptor.ts";
import { type Ends, type Peer, readProxyHeader } from "./proxy-protocol.ts";
import { Wire, WireEnded } from "./wire.ts";

/**
 * Descriptors that clients may not take, for upstreams, secrets and the admin page. When a process has none left libuv closes new
 * connections without a word, and what runs fails in odd ways: turning a few away in time, with a warning, is better.
 */
const RESERVED_DESCRIPTORS = 64;

/** Makes of accepted handles what the protocol wants: told apart from the listening itself, which knows nothing of connections. */
export class Intake {
  readonly #options: ListenOptions;
  readonly #acceptor: Acceptor;
  /** The address that all connections came to; undefined for a wildcard, where each has to be asked. */
  readonly #local: Peer | undefined;
  readonly #descriptorLimit = Math.max(descriptorLimit() - RESERVED_DESCRIPTORS, RESERVED_DESCRIPTORS);
  /** Connections whose PROXY header is awaited. */
  readonly #waiting = new Set<Wire>();

  constructor(options: ListenOptions, bound: Address, acceptor: Acceptor) {
    this.#options = options;
    this.#acceptor = acceptor;
    this.#local = localOf(bound);
  }

  /** Never throws: what cannot be taken in is closed. */
  readonly take: (handle: NativeHandle) => void = contain(
    (handle) => this.#take(handle),
    (cause, handle) => {
      handle.close();
      this.#acceptor.onRefused(cause);
    },
  );

  #take(handle: NativeHandle): void | Promise<void> {
    // The kernel gives the lowest free number: a high one says that as many are in use.
    if (handle.fd >= this.#descriptorLimit) {
      handle.close();
      this.#acceptor.onRefused(
        new AmbassadorError(
          "LIMIT_REACHED",
          "No more file descriptors for clients: raise the limit (ulimit -n), or lower limits.connections",
        ),
      );
      return;
    }
    const ends = this.#endsOf(handle);
    if (this.#options.acceptProxyProtocol) return this.#afterHeader(handle, ends);
    if (this.#acceptor.kind === "wire") this.#acceptor.onConnection(Wire.accepted(handle), ends);
    else this.#acceptor.onConnection(ordinarySocket(handle), ends);
  }

  /** Ends those whose header has not come; the others are no longer known here. */
  close(): void {
    for (const wire of this.#waiting) wire.destroy();
  }

  async #afterHeader(handle: NativeHandle, ends: Ends): Promise<void> {
    const acceptor = this.#acceptor;
    const wire = acceptor.kind === "wire" ? Wire.accepted(handle) : new Wire(ordinarySocket(handle));
    this.#waiting.add(wire);
    const timer = startTimer(() => wire.destroy(), this.#options.handshakeMs);
    let told: Ends;
    try {
      told = (await readProxyHeader(wire)) ?? ends;
    } catch (cause) {
      wire.destroy();
      const isGone = cause instanceof WireEnded;
      return acceptor.onRefused(isGone ? new AmbassadorError("CLIENT_GONE", "No PROXY protocol header came", { cause }) : cause);
    } finally {
      timer[Symbol.dispose]();
      this.#waiting.delete(wire);
    }
    if (acceptor.kind === "wire") acceptor.onConnection(wire, told);
    else acceptor.onConnection(wire.release(), told);
  }

  #endsOf(handle: NativeHandle): Ends {
    return { client: ask(handle, "getpeername"), local: this.#local ?? ask(handle, "getsockname") };
  }
}

function localOf(bound: Address): Peer | undefined {
  if (bound.kind === "unix") return NOWHERE;
  const isOne = isIP(bound.host) !== 0 && !/^[0.:]+$/.test(bound.host); // nothing but zeros is every address
  return isOne ? { address: bound.host, port: bound.port } : undefined;
}

/** A UNIX socket's end, or that of a client that has gone already. */
const NOWHERE: Peer = { address: "", port: 0 };

function ask(handle: NativeHandle, question: "getpeername" | "getsockname"): Peer {
  const out: { address?: string; port?: number } = {};
  if (handle[question]?.(out) !== 0 || out.address === undefined) return NOWHERE;
  // An IPv4 client of an IPv6 socket is shown as what it is.
  const address = out.address.startsWith("::ffff:") ? out.address.slice("::ffff:".length) : out.address;
  return { address, port: out.port ?? 0 };
}

/** Paused, and read in the ordinary way. */
function ordinarySocket(handle: NativeHandle): Socket {
  const accepted: object = { handle, pauseOnCreate: true }; // which its types do not know
  return new Socket({ ...accepted, allowHalfOpen: true });
}

/** The soft limit of this process; a high number where there is no telling. */
function descriptorLimit(): number {
  try {
    return Number(/^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? 1_000_000);
  } catch {
    return 1_000_000; // no /proc here: libuv's way must do
  }
}
