import { parseArgs } from "node:util";
import { Scope } from "@peapod/kit";
import { measureLatency } from "./ambassador-latency.ts";
import { iperf, redisBenchmark } from "./ambassador-load.ts";
import { type PeerName, type Peers, startPeers } from "./ambassador-peers.ts";
import { median } from "./statistics.ts";

interface Measurement {
  readonly name: string;
  readonly unit: string;
  /** Of HAProxy's figure. */
  readonly aim: { readonly least: number } | { readonly most: number };
  /** Several figures where one run gives them; their names are added. */
  measure(port: (server: "redis" | "iperf") => number, signal: AbortSignal): Promise<number>;
  /** What is compared is what the program adds: the median of its rounds less that of rounds without any program. */
  readonly isAdded?: true;
}

const measurements: readonly Measurement[] = [
  ...[20, 200].flatMap((connections) =>
    [1, 16].map((pipeline): Measurement => ({
      name: `GET, ${connections} connections, ${pipeline} at a time`,
      unit: "requests/s",
      aim: { least: 1 },
      measure: (port, signal) =>
        redisBenchmark(
          ["-t", "get", "-c", `${connections}`, "-P", `${pipeline}`, "-n", `${pipeline === 1 ? 200_000 : 2_000_000}`],
          { port: port("redis") },
          signal,
        ),
    })),
  ),
  ...["to the server", "from the server"].map((direction): Measurement => ({
    name: `bulk ${direction}`,
    unit: "Gbit/s",
    aim: { least: 1.5 },
    measure: (port, signal) => iperf(direction === "from the server" ? ["-R"] : [], { port: port("iperf") }, signal),
  })),
  {
    name: "a connection for each request",
    unit: "connections/s",
    aim: { least: 0.8 },
    measure: (port, signal) => redisBenchmark(["-t", "ping_mbulk", "-c", "20", "-k", "0", "-n", "15000"], { port: port("redis") }, signal),
  },
  ...(["p50Us", "p99Us"] as const).map((quantile): Measurement => ({
    name: `added latency, ${quantile.slice(0, 3)}, at 1,000 requests/s`,
    unit: "us",
    aim: { most: 1.2 },
    measure: async (port) => (await measureLatency(port("redis"), 3_000))[quantile],
    isAdded: true,
  })),
];

/**
 * TCP through the ambassador, HAProxy (tcp mode) and nginx (stream), one thread each: the same generator against each in turn, in rounds.
 * `--rounds N`, five unless said otherwise; `--only WORD` for the measurements that have it in their name.
 */
export async function ambassadorTcp(args: readonly string[], signal: AbortSignal): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { rounds: { type: "string", default: "5" }, only: { type: "string", default: "" } },
  });
  await using scope = new Scope();
  const peers = await startPeers(scope);
  for (const measurement of measurements.filter(({ name }) => name.includes(values.only)))
    process.stdout.write(`${await compare(measurement, peers, Number(values.rounds), signal)}\n`);
}

/** One line: each program's median, and the median of the rounds' ratios. */
async function compare(measurement: Measurement, peers: Peers, rounds: number, signal: AbortSignal): Promise<string> {
  const figures: Record<PeerName | "direct", number[]> = { ambassador: [], haproxy: [], nginx: [], direct: [] };
  const measured = measurement.isAdded === true ? ([...peers.names, "direct"] as const) : peers.names;
  const take = async (peer: PeerName | "direct"): Promise<number> => {
    signal.throwIfAborted();
    return await measurement.measure((server) => peers.port(peer, server), signal);
  };
  for (const peer of measured) await take(peer); // warm: code that is compiled as it runs, and buffers that grow
  for (let round = 0; round < rounds; round += 1)
    for (const index of measured.keys()) {
      const peer = measured[(index + round) % measured.length] ?? "direct"; // nobody is always first
      figures[peer].push(await take(peer));
    }
  const own = measurement.isAdded === true ? median(figures.direct) : 0;
  const ratio = (peer: PeerName): number =>
    measurement.isAdded === true
      ? (median(figures.ambassador) - own) / (median(figures[peer]) - own)
      : medianRatio(figures.ambassador, figures[peer]);
  const shown = measured.map((peer) => `${peer} ${format(median(figures[peer]))}`).join(", ");
  const [word, bound] = "least" in measurement.aim ? ["at least", measurement.aim.least] : ["at most", measurement.aim.most];
  const isMet = word === "at least" ? ratio("haproxy") >= bound : ratio("haproxy") <= bound;
  const verdict = `${ratio("haproxy").toFixed(2)} of HAProxy (aim: ${word} ${bound}${isMet ? "" : ", missed"}), ${ratio("nginx").toFixed(2)} of nginx`;
  return `${measurement.name}, ${measurement.unit}: ${shown}: ${verdict}`;
}

/** Of each round's ratio: what else the machine does then hits both. */
export function medianRatio(own: readonly number[], others: readonly number[]): number {
  return median(own.map((value, round) => value / (others[round] ?? Number.NaN)));
}

/** Such as 41,000 or 11.4. */
export function format(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(1);
}
