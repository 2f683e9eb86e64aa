import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDiskClosed, isErrno, readTextIfPresentNow } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import { type Cidr, contains, formatAddress, formatCidr, parseAddress, sizeOf } from "./cidr.ts";
import type { PortMapping } from "./network.ts";

/** What a pod has of the network. */
export interface Reservation {
  readonly ip: string;
  /** Set while the pod is connected. */
  readonly connection?: Connection;
}

export interface Connection {
  /** The network namespace it connects: device and inode number of its file. */
  readonly namespace: string;
  /** Where it is found, to connect it again. Those of engines before do not have it. */
  readonly netnsPath?: string;
  readonly ports: readonly PortMapping[];
}

/**
 * Which pod has which address: one small file a pod, replaced by rename, so that a crash leaves the old or the new.
 * Not synced: after a power cut no pod is connected, and any address will do. The first address is the bridge's.
 */
export class AddressBook {
  readonly cidr: Cidr;
  readonly #directory: string;
  readonly #reservations: Map<string, Reservation>;
  readonly #taken: Set<number | undefined>;
  #last: number;

  /** Opens the book in `directory`. Reservations outside `cidr`, and files that are none, are dropped. */
  constructor(directory: string, cidr: Cidr) {
    this.cidr = cidr;
    this.#directory = directory;
    mkdirSync(join(directory, "pods"), { recursive: true, mode: 0o700 });
    this.#reservations = new Map();
    for (const name of readdirSync(join(directory, "pods"))) {
      const path = join(directory, "pods", name);
      const reservation = readReservation(path, cidr);
      if (reservation !== undefined && name.endsWith(".json")) this.#reservations.set(name.slice(0, -".json".length), reservation);
      else removeIfPossible(path);
    }
    this.#taken = new Set([...this.#reservations.values()].map(({ ip }) => parseAddress(ip)));
    this.#last = Number(readTextIfPresentNow(join(directory, "last")) ?? cidr.base + 1);
  }

  pods(): string[] {
    return [...this.#reservations.keys()];
  }

  get(podUid: string): Reservation | undefined {
    return this.#reservations.get(podUid);
  }

  entries(): [string, Reservation][] {
    return [...this.#reservations.entries()];
  }

  /** The pod's address, a new one where it has none: the one after the last given, so that a freed one rests longest. */
  reserve(podUid: string): Reservation {
    const present = this.#reservations.get(podUid);
    if (present !== undefined) return present;
    const count = sizeOf(this.cidr) - 3; // without network, bridge and broadcast
    const first = this.cidr.base + 2;
    const start = contains(this.cidr, this.#last) ? this.#last + 1 - first : 0;
    for (let step = 0; step < count; step++) {
      const address = first + ((start + step) % count);
      if (this.#taken.has(address)) continue;
      writeFileSync(join(this.#directory, "last"), String(address), { mode: 0o600 });
      const reservation = this.#write(podUid, { ip: formatAddress(address) }); // a full disk throws, and then nothing is taken
      this.#taken.add(address);
      this.#last = address;
      return reservation;
    }
    throw new EngineError("NO_FREE_ADDRESS", `All ${count} addresses of the pod network ${formatCidr(this.cidr)} are in use`);
  }

  /** Notes what the pod is connected to; undefined: to nothing, which a disk that takes nothing does not hold up. */
  setConnection(podUid: string, connection: Connection | undefined): void {
    const { ip } = this.reserve(podUid);
    if (connection !== undefined) return void this.#write(podUid, { ip, connection });
    this.#reservations.set(podUid, { ip });
    unlessDiskIsClosed(() => this.#write(podUid, { ip }));
  }

  release(podUid: string): void {
    unlessDiskIsClosed(() => unlinkSync(this.#file(podUid)));
    this.#taken.delete(parseAddress(this.#reservations.get(podUid)?.ip ?? ""));
    this.#reservations.delete(podUid);
  }

  #write(podUid: string, reservation: Reservation): Reservation {
    const path = this.#file(podUid);
    try {
      writeFileSync(`${path}.new`, JSON.stringify(reservation), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    } catch (cause) {
      removeIfPossible(`${path}.new`); // a full disk has room for a name still
      throw cause;
    }
    this.#reservations.set(podUid, reservation);
    return reservation;
  }

  #file(podUid: string): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$/.test(podUid)) throw new Error(`Not a pod uid: ${JSON.stringify(podUid)}`);
    return join(this.#directory, "pods", `${podUid}.json`);
  }
}

/** Only this engine writes these files; what cannot be read was cut short by a power failure. */
function readReservation(path: string, cidr: Cidr): Reservation | undefined {
  try {
    const value = JSON.parse(readFileSync(path, "utf8")) as Reservation; // checked next, as far as a wrong one could do harm
    const address = parseAddress(value.ip);
    return address !== undefined && contains(cidr, address) ? value : undefined;
  } catch (cause) {
    if (cause instanceof SyntaxError || cause instanceof TypeError || isErrno(cause, "EISDIR")) return undefined;
    throw cause;
  }
}

/** What stays in a file that cannot be changed names a pod that is gone: the next engine disconnects it once more. A file that is gone is well. */
function unlessDiskIsClosed(act: () => void): void {
  try {
    act();
  } catch (cause) {
    if (!isDiskClosed(cause) && !isErrno(cause, "ENOENT")) throw cause;
  }
}

/** What stays says nothing to anybody, and is looked at again by the next engine. */
function removeIfPossible(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (cause) {
    if (!isErrno(cause, "EPERM", "EACCES", "EBUSY", "EROFS", "ENOTEMPTY")) throw cause;
  }
}
