import { isIP } from "node:net";
import { type Clock, wallOf } from "@peapod/kit";
import { formatAddress, type Address } from "../../frame/address.ts";
import type { Candidate } from "./choose.ts";
import { isEjected, roleOf, type Standing, unknownStanding } from "./standing.ts";
import type { EndpointState, Target } from "./upstream.ts";

/** One address of an endpoint, with what is known of it. Of a name that never was resolved there is one without a target. */
export class Place implements Candidate {
  readonly owner: Endpoint;
  readonly target: Target | undefined;
  standing: Standing = unknownStanding;
  connections = 0;

  constructor(owner: Endpoint, target: Target | undefined) {
    this.owner = owner;
    this.target = target;
  }

  get endpoint(): string {
    return this.owner.name;
  }

  /** Counts a connection here. */
  hold(): void {
    this.connections += 1;
    this.owner.connections += 1;
  }

  /** Counts it no more. */
  release(): void {
    this.connections -= 1;
    this.owner.connections -= 1;
  }
}

/** An endpoint of the configuration, and the places that it stands for. */
export class Endpoint {
  readonly name: string;
  /** To be looked up; undefined for an IP address and a UNIX socket. */
  readonly hostToResolve: string | undefined;
  /** At all its places, those that its name does not stand for any more included. */
  connections = 0;
  readonly #address: Address;
  #places: readonly Place[];
  /** No longer in the name, but with connections: should they come back, these count. */
  #left: readonly Place[] = [];

  constructor(address: Address) {
    this.name = formatAddress(address);
    this.#address = address;
    this.hostToResolve = address.kind === "tcp" && isIP(address.host) === 0 ? address.host : undefined;
    const target = this.hostToResolve === undefined ? this.#targetAt(address) : undefined;
    this.#places = [new Place(this, target)];
  }

  /** At least one. */
  get places(): readonly Place[] {
    return this.#places;
  }

  /** Those that its name does not stand for any more, but that have connections. */
  get left(): readonly Place[] {
    return this.#left.filter(({ connections }) => connections > 0);
  }

  /** Takes what its name stands for now; what is known of an address that was there before stays. Tells whether anything changed. */
  setAddresses(hosts: readonly string[]): boolean {
    const address = this.#address;
    if (address.kind === "unix" || hosts.length === 0) return false;
    if (hosts.length === this.#places.length && hosts.every((host, index) => hostOf(this.#places[index]) === host)) return false;
    const known = [...this.#places, ...this.#left];
    this.#places = hosts.map(
      (host) => known.find((place) => hostOf(place) === host) ?? new Place(this, this.#targetAt({ ...address, host })),
    );
    this.#left = known.filter((place) => place.connections > 0 && !this.#places.includes(place));
    return true;
  }

  /** The place of a target of ours; a passing one where the name stands for it no more. */
  placeOf(target: Target): Place {
    const text = formatAddress(target.address);
    const isIt = (place: Place): boolean => place.target !== undefined && formatAddress(place.target.address) === text;
    return this.#places.find(isIt) ?? this.#left.find(isIt) ?? new Place(this, target);
  }

  /** All its places as one: as good as the best of them. `unresolved`: what is wrong with its name. */
  state(clock: Clock, unresolved: string | undefined): EndpointState {
    const nowMs = clock.monotonicMs();
    const standings = this.#places.map((place) => place.standing);
    const ejections = standings.map(({ ejectedUntilMs }) => ejectedUntilMs ?? 0);
    const lastFailure = standings.flatMap((standing) => standing.lastFailure ?? []).toSorted((a, b) => b.atMs - a.atMs)[0];
    const isLeftOut = standings.every((standing) => isEjected(standing, nowMs));
    const roles = new Set(standings.map((standing) => roleOf(standing, nowMs)));
    return {
      endpoint: this.name,
      addresses: this.#places.flatMap(({ target }) => (target === undefined ? [] : formatAddress(target.address))),
      unresolved,
      health: bestHealth(standings),
      role: roles.has("read-write") ? "read-write" : roles.has("read-only") ? "read-only" : undefined,
      ejectedUntilMs: isLeftOut ? wallOf(clock, Math.min(...ejections)) : undefined,
      connections: this.connections,
      failuresInARow: Math.min(...standings.map(({ failuresInARow }) => failuresInARow)),
      lastFailure: lastFailure === undefined ? undefined : { ...lastFailure, atMs: wallOf(clock, lastFailure.atMs) },
    };
  }

  #targetAt(address: Address): Target {
    const host = this.#address.kind === "tcp" ? this.#address.host : "localhost"; // what a certificate for a UNIX socket would say
    return { endpoint: this.name, address, host };
  }
}

function hostOf(place: Place | undefined): string | undefined {
  return place?.target?.address.kind === "tcp" ? place.target.address.host : undefined;
}

function bestHealth(standings: readonly Standing[]): EndpointState["health"] {
  if (standings.some(({ health }) => health === "healthy")) return "healthy";
  return standings.every(({ health }) => health === "unhealthy") ? "unhealthy" : "unknown";
}
