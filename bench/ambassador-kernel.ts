import { parseArgs } from "node:util";
import { Scope } from "@peapod/kit";
import { type Destination, iperf, redisBenchmark } from "./ambassador-load.ts";
import { type Forwarder, forwarders, type Pod, ports, startPods } from "./ambassador-pods.ts";
import { format, medianRatio } from "./ambassador-tcp.ts";
import { median } from "./statistics.ts";

/** Of HAProxy's figure. */
const AIM = 1.8;

interface Measurement {
  readonly name: string;
  readonly server: keyof typeof ports;
  readonly measure: (destination: Destination, signal: AbortSignal) => Promise<number>;
}

const measurements: readonly Measurement[] = [
  ...[20, 200].map((connections): Measurement => ({
    name: `GET, ${connections} connections, requests/s`,
    server: "redis",
    measure: (destination, signal) => redisBenchmark(["-t", "get", "-c", `${connections}`, "-n", "60000"], destination, signal),
  })),
  ...["to the server", "from the server"].map((direction): Measurement => ({
    name: `bulk ${direction}, Gbit/s`,
    server: "iperf",
    measure: (destination, signal) => iperf(direction === "from the server" ? ["-R"] : [], destination, signal),
  })),
];

/**
 * A listener with `datapath: kernel` beside HAProxy (tcp mode, one thread) and the same listener with `datapath: user`, each in a pod's own
 * network, with the servers elsewhere; and the client without anybody between, which is all that there is to be had. Takes root. `--rounds N`,
 * five unless said otherwise; `--only WORD` for the measurements that have it in their name.
 */
export async function ambassadorKernel(args: readonly string[], signal: AbortSignal): Promise<void> {
  const options = { rounds: { type: "string", default: "5" }, only: { type: "string", default: "" } } as const;
  const { values } = parseArgs({ args: [...args], options });
  process.stdout.write("\nIn the kernel, from a pod to a server elsewhere:\n");
  if (process.getuid?.() !== 0) return void process.stdout.write("left out: it takes root, for network namespaces\n");
  await using scope = new Scope();
  const pods = await startPods(scope, signal);
  for (const measurement of measurements.filter(({ name }) => name.includes(values.only)))
    process.stdout.write(`${await compare(measurement, pods, Number(values.rounds), signal)}\n`);
}

/** One line: each one's median, and the medians of the rounds' ratios. */
async function compare(
  { name, server, measure }: Measurement,
  pods: ReadonlyMap<Forwarder, Pod>,
  rounds: number,
  signal: AbortSignal,
): Promise<string> {
  const figures: Record<Forwarder, number[]> = { kernel: [], haproxy: [], user: [], direct: [] };
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < forwarders.length; turn += 1) {
      const forwarder = forwarders[(turn + round) % forwarders.length] ?? "kernel"; // nobody is always first
      signal.throwIfAborted();
      figures[forwarder].push(await measure({ ...pods.get(forwarder), port: ports[server] }, signal));
    }
  }
  const shown = forwarders.map((forwarder) => `${forwarder} ${format(median(figures[forwarder]))}`).join(", ");
  const ratio = (forwarder: Forwarder): number => medianRatio(figures.kernel, figures[forwarder]);
  const verdict = `${ratio("haproxy").toFixed(2)} of HAProxy (aim: at least ${AIM}${ratio("haproxy") >= AIM ? "" : ", missed"})`;
  return `${name}: ${shown}: kernel is ${verdict}, ${ratio("user").toFixed(2)} of user, ${ratio("direct").toFixed(2)} of direct`;
}
