import { eventually, run } from "@peapod/kit";

/** Where the load goes. */
export interface Destination {
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Begins the generator's command, as to run it in another network. */
  readonly enter?: readonly string[];
}

/** Requests a second, by redis-benchmark with these arguments. */
export async function redisBenchmark(args: readonly string[], destination: Destination, signal: AbortSignal): Promise<number> {
  const [command, options] = generator("redis-benchmark", destination, (host, port) => ["-h", host, "-p", port, "--csv", ...args]);
  const { stdout } = await run(command, options, { signal, timeoutMs: 60_000 });
  const row = stdout.trim().split("\n").at(-1) ?? "";
  return Number(row.split(",")[1]?.replaceAll('"', ""));
}

/** Gbit/s that arrived, in two seconds of iperf3. */
export async function iperf(args: readonly string[], destination: Destination, signal: AbortSignal): Promise<number> {
  const [command, options] = generator("iperf3", destination, (host, port) => ["-c", host, "-p", port, "-t", "2", "-J", ...args]);
  return await eventually(
    async () => {
      const { stdout } = await run(command, options, { signal, timeoutMs: 20_000 });
      const report = JSON.parse(stdout) as { error?: string; end: { sum_received?: { bits_per_second: number } } }; // iperf3's own format
      // Its server takes one test at a time, and the last one's end may not have reached it.
      if (report.end.sum_received === undefined) throw new Error(`iperf3 says: ${report.error ?? stdout}`);
      return report.end.sum_received.bits_per_second / 1e9;
    },
    { withinMs: 30_000, everyMs: 200 },
  );
}

function generator(
  name: string,
  { port, host = "127.0.0.1", enter = [] }: Destination,
  args: (host: string, port: string) => readonly string[],
): readonly [command: string, args: readonly string[]] {
  const [command = name, ...rest] = [...enter, name, ...args(host, `${port}`)];
  return [command, rest];
}
