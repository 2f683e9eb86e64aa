import { type Cidr, overlaps, parseCidr } from "./cidr.ts";

/** One route of the machine, of any table; addresses are there too, as routes of the table `local`. */
export interface Route {
  readonly destination: Cidr;
  readonly device: string;
}

/** Private ranges that few others use: not Docker's, Podman's, k3s's, kubeadm's or flannel's defaults. Each is cut into /24. */
const ranges = [
  { first: "10.112.0.0", count: 4096 },
  { first: "172.28.0.0", count: 1024 },
  { first: "192.168.128.0", count: 127 },
] as const;

/**
 * A block of 254 addresses that overlaps none of `taken`; undefined when there is none. Where to begin follows from `seed`, so
 * that engines that are not running at the same time choose different ones, too.
 */
export function chooseCidr(taken: readonly Cidr[], seed: number): Cidr | undefined {
  for (const { first, count } of ranges) {
    const base = parseCidr(first)?.base ?? 0;
    for (let step = 0; step < count; step++) {
      const candidate = { base: base + ((seed + step) % count) * 256, prefixLength: 24 };
      if (!taken.some((cidr) => overlaps(cidr, candidate))) return candidate;
    }
  }
  return undefined;
}

/** The routes in the output of `ip -json -4 route show table all`; default routes cover everything and say nothing. */
export function parseRoutes(json: string): Route[] {
  const entries: unknown = JSON.parse(json === "" ? "[]" : json);
  if (!Array.isArray(entries)) return [];
  return entries.flatMap((entry: { dst?: unknown; dev?: unknown }) => {
    const destination = typeof entry.dst === "string" ? parseCidr(entry.dst) : undefined;
    if (destination === undefined || destination.prefixLength === 0) return [];
    return [{ destination, device: typeof entry.dev === "string" ? entry.dev : "" }];
  });
}
