import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { type ConfigMap, configMaps } from "@peapod/api";
import type { Client } from "@peapod/client";
import { Scope } from "@peapod/kit";
import { makeFolder, startEngine } from "./engine.ts";
import { median, percentile } from "./statistics.ts";

/** How many clients write at once. */
const lanes = [1, 8, 64] as const;
const VALUE = "x".repeat(1_000);

/** What some writes took, each and together. */
interface Writes {
  readonly eachMs: readonly number[];
  readonly perSecond: number;
}

/**
 * What an acknowledged write costs: ConfigMaps of 1 kB created over HTTPS, by one client and by several at once. Beside it the same rows
 * into plain SQLite that syncs each (`synchronous = FULL`), and with `--before DIR` the engine of another checkout.
 */
export async function api(args: readonly string[], signal: AbortSignal): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "2" }, before: { type: "string" } },
  });
  const rounds = Math.max(3, Number(values.rounds));
  const forMs = Math.max(0.5, Number(values.seconds)) * 1_000;
  await using scope = new Scope();
  const folder = makeFolder();
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  const floor = prepareFloor(join(folder, "floor.db"), scope);
  const now = (await startEngine(scope, signal)).client;
  const before = values.before === undefined ? undefined : await startEngine(scope, signal, join(resolve(values.before), "peapod"));
  const contenders: Record<string, () => Promise<Writes> | Writes> = { floor: () => floor(forMs) };
  for (const many of lanes) {
    if (before !== undefined) contenders[`before, ${many}`] = () => write(before.client, many, forMs, signal);
    contenders[`peapod, ${many}`] = () => write(now, many, forMs, signal);
  }
  const results = new Map<string, Writes[]>(Object.keys(contenders).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, contender] of Object.entries(contenders)) {
      const writes = await contender();
      if (round > 0) results.get(name)?.push(writes); // the first is to warm up
    }
    process.stdout.write(round === 0 ? "warm\n" : `round ${round} of ${rounds}\n`);
  }
  process.stdout.write(`\nAcknowledged writes of 1 kB, ${rounds} rounds, medians; the floor is plain SQLite that syncs each:\n`);
  for (const [name, writes] of results) process.stdout.write(`${describe(name, writes, results)}\n`);
}

function describe(name: string, writes: readonly Writes[], results: ReadonlyMap<string, readonly Writes[]>): string {
  const each = writes.flatMap(({ eachMs }) => eachMs);
  const ratio = (peer: string): string => {
    const others = results.get(peer) ?? [];
    return median(writes.map(({ perSecond }, round) => perSecond / (others[round]?.perSecond ?? Number.NaN))).toFixed(2);
  };
  const figures = [
    name.padEnd(12),
    `${median(writes.map(({ perSecond }) => perSecond)).toFixed(0)} a second`.padStart(16),
    `p50 ${percentile(each, 0.5).toFixed(1)} ms, p99 ${percentile(each, 0.99).toFixed(1)} ms`.padStart(28),
  ];
  if (name !== "floor") figures.push(`  of the floor ${ratio("floor")}`);
  const peer = name.replace("peapod", "before");
  if (name.startsWith("peapod") && results.has(peer)) figures.push(`  of before ${ratio(peer)}`);
  return figures.join("");
}

/** A name of its own for each object, whichever contender it goes to. */
const newName = (): string => `bench-${randomUUID()}`;

async function write(client: Client, many: number, forMs: number, signal: AbortSignal): Promise<Writes> {
  const eachMs: number[] = [];
  const startMs = performance.now();
  const lane = async (): Promise<void> => {
    while (performance.now() - startMs < forMs) {
      const sentMs = performance.now();
      await client.create(configMaps, object(newName()), {}, signal);
      eachMs.push(performance.now() - sentMs);
    }
  };
  await Promise.all(Array.from({ length: many }, lane));
  return { eachMs, perSecond: eachMs.length / ((performance.now() - startMs) / 1_000) };
}

function prepareFloor(path: string, scope: Scope): (forMs: number) => Writes {
  const database = new DatabaseSync(path);
  scope.defer(() => database.close());
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE objects (name TEXT PRIMARY KEY, object TEXT) STRICT");
  const put = database.prepare("INSERT INTO objects VALUES (?, ?)");
  return (forMs) => {
    const eachMs: number[] = [];
    const startMs = performance.now();
    while (performance.now() - startMs < forMs) {
      const sentMs = performance.now();
      const name = newName();
      put.run(name, JSON.stringify(object(name)));
      eachMs.push(performance.now() - sentMs);
    }
    return { eachMs, perSecond: eachMs.length / ((performance.now() - startMs) / 1_000) };
  };
}

function object(name: string): ConfigMap {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "default" }, data: { value: VALUE } };
}
