/**
 * `npm run bench -- NAME`: measurements that run peer and peapod in turn on this machine and print a ratio.
 */
import { inspect } from "node:util";
import { untilSignal } from "@peapod/kit";
import { api } from "./api.ts";
import { ambassador } from "./ambassador.ts";
import { ambassadorSoak } from "./ambassador-soak.ts";
import { density } from "./density.ts";
import { latency } from "./latency.ts";
import { podStart } from "./pod-start.ts";
import { pull } from "./pull.ts";

const benchmarks: Readonly<Record<string, (args: readonly string[], signal: AbortSignal) => Promise<void>>> = {
  "pod-start": podStart,
  density,
  pull,
  api,
  latency,
  ambassador,
  "ambassador-soak": ambassadorSoak,
};

const [name = "", ...args] = process.argv.slice(2);
const benchmark = benchmarks[name];
if (benchmark === undefined) {
  process.stderr.write(`usage: npm run bench -- ${Object.keys(benchmarks).join("|")} [--rounds N]\n`);
  process.exitCode = 64;
} else {
  const done = new AbortController();
  const stop = new AbortController();
  void untilSignal(["SIGINT", "SIGTERM"], done.signal).then(() => stop.abort());
  try {
    await benchmark(args, stop.signal);
  } catch (error) {
    // What an interrupted command says is of no interest; what failed while cleaning up is.
    const isInterrupted = stop.signal.aborted && !(error instanceof Error && "suppressed" in error);
    process.stderr.write(isInterrupted ? "Interrupted; everything of the benchmark is removed\n" : `${describe(error)}\n`);
    process.exitCode = isInterrupted ? 130 : 1;
  } finally {
    done.abort();
  }
}

/** With what failed while cleaning up after it: a SuppressedError shows neither by itself. */
function describe(error: unknown): string {
  if (!(error instanceof Error) || !("suppressed" in error) || !("error" in error)) return inspect(error);
  return `${describe(error.suppressed)}\n${describe(error.error)}`;
}
