import { isIP } from "node:net";
import { formatAddress, type Address } from "../../frame/address.ts";
import { leadsTo, listenerChecks, type Report } from "./check-listener.ts";
import type { AmbassadorConfig, ListenerConfig } from "./config.ts";
import { Place, type Problem, unreadable } from "../../frame/config/decode.ts";

/**
 * What no single value shows: names and addresses that are there twice, and settings that do not go together. Takes a configuration in
 * which properties that could not be read throw `unreadable`: checks that need one of those are left out.
 */
export function checkConfig(config: AmbassadorConfig, problems: Problem[]): void {
  const root = new Place(problems);
  attempt(() => checkUnique(config, root));
  attempt(() => checkCircles(config.listeners, root));
  attempt(() => {
    for (let index = 0; index < config.listeners.length; index += 1) {
      const place = root.at("listeners").at(index);
      const report: Report = (path, message) =>
        path
          .split(".")
          .reduce((at, step) => at.at(/^\d+$/.test(step) ? Number(step) : step), place)
          .report(message);
      for (const check of listenerChecks)
        attempt(() => {
          const listener = config.listeners[index];
          if (listener !== undefined) check(listener, report);
        });
    }
  });
}

function checkUnique(config: AmbassadorConfig, root: Place): void {
  const names = new Map<string, number>();
  const taken: { address: Address; by: string }[] = [];
  const claim = (address: Address, by: string, place: Place): void => {
    const other = taken.find((one) => collide(one.address, address));
    if (other === undefined) taken.push({ address, by });
    else place.at("listen").report(`${formatAddress(address)} is taken by ${other.by} (${formatAddress(other.address)})`);
  };
  attempt(() => {
    if (config.admin !== undefined) claim(config.admin.listen, "admin", root.at("admin"));
  });
  for (let index = 0; index < config.listeners.length; index += 1) {
    const place = root.at("listeners").at(index);
    attempt(() => {
      const name = config.listeners[index]?.name ?? "";
      const other = names.get(name);
      if (other === undefined) names.set(name, index);
      else place.at("name").report(`${JSON.stringify(name)} is the name of listeners[${other}] too: give each one of its own`);
    });
    attempt(() => {
      const listen = config.listeners[index]?.listen;
      if (listen !== undefined) claim(listen, `listeners[${index}]`, place);
    });
  }
}

/** Listeners that forward to each other would pass the first connection round until the limits are reached. */
function checkCircles(listeners: readonly ListenerConfig[], root: Place): void {
  const next = listeners.map(({ upstream }) =>
    listeners.flatMap(({ listen }, index) => (upstream.endpoints.some((endpoint) => leadsTo(endpoint, listen)) ? [index] : [])),
  );
  const reachable = (from: number, seen = new Set<number>()): ReadonlySet<number> => {
    for (const index of next[from] ?? []) if (!seen.has(index)) reachable(index, seen.add(index));
    return seen;
  };
  for (const index of listeners.keys()) {
    const isOwn = next[index]?.includes(index) ?? true; // said already
    if (!isOwn && reachable(index).has(index))
      root.at("listeners").at(index).at("upstream").at("endpoints").report("lead back to this listener, by way of others");
  }
}

/** Whether two sockets cannot listen there at once. A wildcard takes the port of every address of its family, `::` of both. */
function collide(a: Address, b: Address): boolean {
  if (a.kind === "unix" || b.kind === "unix") return a.kind === b.kind && formatAddress(a) === formatAddress(b);
  if (a.port !== b.port || a.port === 0) return false;
  return a.host === b.host || covers(a.host, b.host) || covers(b.host, a.host);
}

function covers(wildcard: string, host: string): boolean {
  return wildcard === "::" || (wildcard === "0.0.0.0" && isIP(host) === 4);
}

function attempt(check: () => void): void {
  try {
    check();
  } catch (cause) {
    if (cause !== unreadable) throw cause;
  }
}
