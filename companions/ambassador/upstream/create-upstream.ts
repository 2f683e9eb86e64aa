import { backoffMs, type Clock, type Logger, untilAborted } from "@peapod/kit";
import type { UpstreamConfig } from "../config/config.ts";
import { AmbassadorError, isRetryable } from "../errors.ts";
import { abortSignalOf, type CancelSignal } from "../flow/cancel.ts";
import { dialUpstream } from "./dial-upstream.ts";
import { HealthChecks } from "./checks.ts";
import { choose, rank } from "./choose.ts";
import { Endpoint, type Place } from "./endpoint.ts";
import { JudgedLease } from "./judged-lease.ts";
import { type Admission, Ledger } from "./ledger.ts";
import { createSystemResolve, ResolvedName, type Resolve } from "./names.ts";
import { roleOf } from "./standing.ts";
import { tryPlace, type TryResult } from "./try-target.ts";
import type { Check, ConnectOptions, EndpointState, Lease, Open, Role, Target, Upstream, UpstreamEvent } from "./upstream.ts";

export interface UpstreamParts {
  readonly config: UpstreamConfig;
  /** The protocol's, for the kinds `login` and `http`; undefined: whether something listens. */
  readonly check: Check | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** Default: a `createSystemResolve` of its own. Share one in a process: it spares the threads of the pool. */
  readonly resolve?: Resolve;
  readonly random?: () => number;
  readonly onEvent?: (event: UpstreamEvent) => void;
}

/**
 * The servers of one listener. What a name stands for is looked up at `run`, or with the first connection that needs it, then at every
 * `resolveEveryMs` and after a failure; each address has its own health, role and failures.
 */
export function createUpstream(parts: UpstreamParts): Upstream {
  return new EndpointUpstream(parts);
}

interface Round {
  /** Which failed since the last pause. */
  readonly tried: Set<Place>;
  /** Of the tries that count, in all. */
  attempts: number;
  /** What that was after the last pause. */
  attemptsBefore: number;
  rounds: number;
  failure: AmbassadorError | undefined;
}

function beginRound(): Round {
  return { tried: new Set(), attempts: 0, attemptsBefore: 0, rounds: 0, failure: undefined };
}

class EndpointUpstream implements Upstream {
  readonly #parts: UpstreamParts;
  readonly #config: UpstreamConfig;
  readonly #random: () => number;
  readonly #ledger: Ledger;
  readonly #endpoints: readonly Endpoint[];
  readonly #names: ReadonlyMap<Endpoint, ResolvedName>;
  readonly #checks: HealthChecks | undefined;
  readonly #nameOf = (endpoint: Endpoint): ResolvedName | undefined => this.#names.get(endpoint);
  #places: readonly Place[];
  #chosen = -1;

  constructor(parts: UpstreamParts) {
    const { config, clock, log, random = Math.random, onEvent = () => {} } = parts;
    this.#parts = parts;
    this.#config = config;
    this.#random = random;
    this.#ledger = new Ledger({ config, clock, log, onEvent });
    this.#endpoints = config.endpoints.map((address) => new Endpoint(address));
    this.#places = this.#endpoints.flatMap((endpoint) => endpoint.places);
    const resolve = parts.resolve ?? createSystemResolve();
    const nameOf = (endpoint: Endpoint): [Endpoint, ResolvedName][] =>
      endpoint.hostToResolve === undefined ? [] : [[endpoint, this.#follow(endpoint, endpoint.hostToResolve, resolve)]];
    this.#names = new Map(this.#endpoints.flatMap(nameOf));
    this.#checks = this.#makeChecks();
  }

  async connect<T>(open: Open<T>, options: ConnectOptions & { readonly signal: CancelSignal }): Promise<Lease<T>> {
    const { signal, only, isJudgedLater } = options;
    signal.throwIfAborted();
    let round: Round | undefined; // nearly always the first try is the last
    for (;;) {
      const place = this.#choose(only, round);
      if (place === undefined) {
        round ??= beginRound();
        await this.#pause(options, round);
        continue;
      }
      const admission = this.#ledger.admit(only !== undefined);
      if (admission instanceof AmbassadorError) throw round?.failure ?? admission;
      const wanted = only === undefined ? this.#wantedAt(place) : undefined;
      const result = await tryPlace(place, open, { connectMs: this.#config.connectMs, signal, wanted, nameOf: this.#nameOf });
      if (result.kind === "connected") {
        // A preference is not asked for by every protocol: only a need that was met tells the role.
        const found = this.#config.target === "prefer-read-only" ? undefined : wanted;
        if (isJudgedLater === true) return new JudgedLease(result.lease, this.#judge(result.place, found, admission));
        this.#ledger.succeeded(result.place, found, admission);
        return result.lease;
      }
      round ??= beginRound();
      this.#failed(result, { ...admission, wanted, signal }, round);
    }
  }

  endpoints(): readonly EndpointState[] {
    return this.#endpoints.map((endpoint) => endpoint.state(this.#parts.clock, this.#names.get(endpoint)?.problem));
  }

  isAvailable(): boolean {
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#ledger.isCircuitOpen(nowMs)) return false;
    return this.#places.some((place) => place.target !== undefined && rank(place.standing, this.#config.target, nowMs) !== undefined);
  }

  async run(signal: AbortSignal): Promise<void> {
    const names = [...this.#names.values()].map((name) => name.refresh(this.#config.resolveEveryMs, this.#random, signal));
    await Promise.all([...names, this.#checks?.run(this.#places, signal), untilAborted(signal)]);
  }

  /** Writes down what came of a connection's use. */
  #judge(place: Place, found: Role | undefined, { isProbe }: Admission): (outcome: "well" | AmbassadorError | undefined) => void {
    return (outcome) => {
      if (outcome === "well") this.#ledger.succeeded(place, found, { isProbe });
      else this.#ledger.failed(place, outcome, { isProbe, wanted: undefined, isInUse: true });
    };
  }

  /** Writes a failed try down; throws its error unless another try may do better. */
  #failed(
    { place, error: cause }: Extract<TryResult<unknown>, { kind: "failed" }>,
    { signal, ...context }: Admission & { readonly wanted: Role | undefined; readonly signal: CancelSignal },
    round: Round,
  ): void {
    const error = signal.aborted ? signal.reason : cause;
    this.#ledger.failed(place, signal.aborted ? undefined : error, context);
    if (signal.aborted || !(error instanceof AmbassadorError) || !isRetryable(error)) throw error;
    this.#note(error, { place, wanted: context.wanted }, round);
  }

  #note(error: AmbassadorError, { place, wanted }: { place: Place; wanted: Role | undefined }, round: Round): void {
    const { code } = error;
    round.failure = error;
    // With a preference it comes again, as the server of the other role that it is known to be now.
    if (code !== "UPSTREAM_ROLE" || this.#config.target !== "prefer-read-only" || wanted === undefined) round.tried.add(place);
    if (code === "UPSTREAM_ROLE") return; // looking for the right one among many is one try
    round.attempts += 1;
    if (code === "UPSTREAM_UNREACHABLE" || code === "UPSTREAM_TIMEOUT") void this.#names.get(place.owner)?.lookUnlessRecent();
    if (round.attempts >= this.#config.retry.attempts) throw error;
  }

  /** All that may be tried were: a pause of up to the back-off's time, and once more. Throws the last failure when there were enough. */
  async #pause({ signal, only }: Parameters<Upstream["connect"]>[1], round: Round): Promise<void> {
    if (round.tried.size === 0) throw round.failure ?? this.#noEndpoint(only);
    if (round.attempts === round.attemptsBefore) round.attempts += 1;
    const isHopeless = only === undefined && this.#ledger.isCircuitOpen(this.#parts.clock.monotonicMs());
    if (isHopeless || round.attempts >= this.#config.retry.attempts) throw round.failure ?? this.#noEndpoint(only);
    const { backoffMs: initialMs, maxBackoffMs: maximumMs } = this.#config.retry;
    await this.#parts.clock.sleep(this.#random() * backoffMs({ initialMs, maximumMs }, round.rounds), abortSignalOf(signal));
    round.rounds += 1;
    round.attemptsBefore = round.attempts;
    round.tried.clear();
  }

  #choose(only: string | Target | undefined, round: Round | undefined): Place | undefined {
    const tried = round?.tried;
    if (only !== undefined) return this.#placesOf(only).find((place) => tried?.has(place) !== true);
    const { strategy, target } = this.#config;
    const nowMs = this.#parts.clock.monotonicMs();
    const index = choose(this.#places, { strategy, target, nowMs, after: this.#chosen, tried, random: this.#random });
    if (index === undefined) return undefined;
    this.#chosen = index;
    return this.#places[index];
  }

  #placesOf(only: string | Target): readonly Place[] {
    const name = typeof only === "string" ? only : only.endpoint;
    const endpoint = this.#endpoints.find((candidate) => candidate.name === name);
    if (endpoint === undefined) return typeof only === "string" ? [] : [new Endpoint(only.address).placeOf(only)]; // from before a reload
    return typeof only === "string" ? endpoint.places : [endpoint.placeOf(only)];
  }

  /** The role that a try at this place must find. */
  #wantedAt(place: Place): Role | undefined {
    const { target } = this.#config;
    if (target === "any") return undefined;
    if (target !== "prefer-read-only") return target;
    return roleOf(place.standing, this.#parts.clock.monotonicMs()) === "read-write" ? undefined : "read-only";
  }

  #noEndpoint(only: string | Target | undefined): AmbassadorError {
    if (only !== undefined)
      return new AmbassadorError("NO_ENDPOINT", `${typeof only === "string" ? only : only.endpoint} is not an endpoint`);
    const reasons = this.endpoints().map(({ endpoint, lastFailure }) => `${endpoint} (${lastFailure?.message ?? "unhealthy"})`);
    return new AmbassadorError("NO_ENDPOINT", `No endpoint is well: ${reasons.join(", ")}`);
  }

  #follow(endpoint: Endpoint, host: string, resolve: Resolve): ResolvedName {
    const { clock, log, onEvent } = this.#parts;
    let isFailing = false;
    return new ResolvedName(host, {
      resolve,
      clock,
      onAddresses: (addresses) => {
        if (isFailing) log.info("name is resolved again", { endpoint: endpoint.name });
        isFailing = false;
        if (!endpoint.setAddresses(addresses)) return;
        log.debug("name has new addresses", { endpoint: endpoint.name, addresses });
        this.#places = this.#endpoints.flatMap(({ places }) => places);
        this.#checks?.follow(this.#placesToCheck());
      },
      onFailure: ({ message }) => {
        onEvent?.({ kind: "lookup-failed", endpoint: endpoint.name });
        if (!isFailing) log.warn("name cannot be resolved", { endpoint: endpoint.name, reason: message });
        isFailing = true;
      },
    });
  }

  /** Where connections are to end with their address, that goes for an address which its name has left, too. */
  #placesToCheck(): readonly Place[] {
    if (this.#config.healthCheck?.closeConnections !== true) return this.#places;
    return [...this.#places, ...this.#endpoints.flatMap(({ left }) => left)];
  }

  #makeChecks(): HealthChecks | undefined {
    const { clock, log, config } = this.#parts;
    if (config.healthCheck === undefined) return undefined;
    const own = config.healthCheck.kind === "connect" ? undefined : this.#parts.check;
    const check = own ?? ((target, signal) => checkConnects(target, config, signal));
    return new HealthChecks({
      config: config.healthCheck,
      check,
      clock,
      random: this.#random,
      log,
      onOutcome: (place, outcome) => this.#ledger.checked(place, outcome),
    });
  }
}

/** The check of the kind `connect`: that something listens. */
async function checkConnects(target: Target, config: UpstreamConfig, signal: AbortSignal): Promise<undefined> {
  const wire = await dialUpstream(target, config, undefined, signal);
  wire.destroy();
}
