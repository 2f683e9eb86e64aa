import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { type ConfigMap, configMaps, type KubeObject, type Pod, pods } from "@peapod/api";
import { ApiError, type HttpClient } from "@peapod/client";
import { abortAfter, delay, eventually } from "@peapod/kit";
import type { TestEngine } from "./engine-fixture.ts";
import { idle, pod, shell } from "./pods.ts";

/** What went wrong, a sentence each. */
export interface FaultFindings {
  /** Containers that were lost, run twice, or told with a wrong exit code or restart count. */
  readonly containers: string[];
  readonly logLines: string[];
  readonly acknowledgedWrites: string[];
}

const namespace = "default";
const JOBS_AT_ONCE = 4;
const LINES = 20;
const WITHIN = { withinMs: 120_000, everyMs: 200 };

/**
 * Work that changes all the time, and knows what must come of it. Each start of a container writes a line into a ledger on the host,
 * so that one too many or too few shows, whatever the engine believes.
 */
export class FaultWork {
  readonly findings: FaultFindings = { containers: [], logLines: [], acknowledgedWrites: [] };
  readonly #client: HttpClient;
  readonly #signal: AbortSignal;
  readonly #ledger: string;
  #steadyIds = "";
  /** How often each ended job had run when it was looked at. */
  readonly #ran = new Map<string, number>();
  #made = 0;
  #writes = 0;

  constructor(engine: TestEngine, client: HttpClient, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
    this.#ledger = join(engine.file("ledger/writes", ""), "..");
  }

  summary(): string {
    const { containers, logLines, acknowledgedWrites } = this.findings;
    return `${this.#made} pods, ${this.#writes} writes; wrong: ${containers.length} containers, ${logLines.length} logs, ${acknowledgedWrites.length} writes`;
  }

  /** Starts what runs from the first to the last. */
  async begin(): Promise<void> {
    const counting = shell(
      "counter",
      `echo steady >> /ledger/steady; i=0; while :; do echo $i; echo $i > /ledger/count; i=$((i+1)); busybox usleep 5000; done`,
      mounted,
    );
    await this.#create(this.#pod("steady", "Always", [counting, idle("beside")]));
    await this.#until("steady", (one) => one.status?.phase === "Running");
    this.#steadyIds = await this.#idsOf("steady");
    await this.#persist(async (signal) =>
      this.#client.create(
        configMaps,
        { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "counter", namespace }, data: { n: "0" } },
        {},
        signal,
      ),
    );
  }

  /** Works until the signal is aborted, and then to the end of what is under way. */
  async run(stop: AbortSignal): Promise<void> {
    const repeat = async (act: () => Promise<void>): Promise<void> => {
      while (!stop.aborted) await act();
    };
    const jobs = Array.from({ length: JOBS_AT_ONCE }, async () => repeat(async () => this.#job()));
    await Promise.all([...jobs, repeat(async () => this.#churn()), repeat(async () => this.#write())]);
  }

  /** Looks at what ran from the first to the last. */
  async end(): Promise<void> {
    if ((await this.#idsOf("steady")) !== this.#steadyIds || this.#runsOf("steady") !== 1)
      this.findings.containers.push("steady: its containers are not those of the beginning");
    const written = Number(readFileSync(join(this.#ledger, "count"), "utf8"));
    await delay(1_000, this.#signal); // what was written meanwhile comes after it
    const numbers = (await this.#logOf("steady", "counter")).split("\n").slice(0, -1).map(Number);
    const wrong = numbers.findIndex((value, index) => value !== index);
    if (wrong >= 0) this.findings.logLines.push(`steady: after ${numbers[wrong - 1]} comes ${numbers[wrong]}`);
    if (!(numbers.length > written)) this.findings.logLines.push(`steady: ${numbers.length} lines of ${written + 1}`);
    await this.#delete("steady");
    const left = await this.#client.list<Pod>(pods, { namespace }, this.#signal);
    for (const { metadata } of left.items) this.findings.acknowledgedWrites.push(`${metadata.name} was deleted, and is there`);
    for (const [name, runs] of this.#ran)
      if (this.#runsOf(name) !== runs) this.findings.containers.push(`${name}: ran again once it was looked at`);
  }

  /** One pod that ends by itself: once and for all, or after one restart. */
  async #job(): Promise<void> {
    const name = `job-${(this.#made += 1)}`;
    const runs = this.#made % 3 === 0 ? 2 : 1;
    const exitCode = runs === 2 ? 0 : this.#made % 5;
    const script = `echo $$ >> /ledger/${name}
      i=0; while [ $i -lt ${LINES} ]; do echo $i; i=$((i+1)); busybox usleep 10000; done
      [ $(busybox wc -l < /ledger/${name}) -ge ${runs} ] || exit 9
      exit ${exitCode}`;
    await this.#create(this.#pod(name, runs === 2 ? "OnFailure" : "Never", [shell("main", script, mounted)]));
    const ended = await this.#until(name, ({ status }) => status?.phase === "Succeeded" || status?.phase === "Failed");
    const status = ended?.status?.containerStatuses?.[0];
    const seen = { runs: this.#runsOf(name), exitCode: status?.state?.terminated?.exitCode, restartCount: status?.restartCount };
    const want = { runs, exitCode, restartCount: runs - 1 };
    if (JSON.stringify(seen) !== JSON.stringify(want))
      this.findings.containers.push(
        `${name}: ${JSON.stringify(seen)} instead of ${JSON.stringify(want)}; ${JSON.stringify(ended?.status)}`,
      );
    this.#ran.set(name, seen.runs);
    const log = await this.#logOf(name, "main");
    if (log !== Array.from({ length: LINES }, (_, index) => `${index}\n`).join(""))
      this.findings.logLines.push(`${name}: ${JSON.stringify(log)}`);
    await this.#delete(name);
  }

  /** One pod that is deleted at any moment of its life. */
  async #churn(): Promise<void> {
    const name = `churn-${(this.#made += 1)}`;
    await this.#create(this.#pod(name, "Always", [idle("one"), idle("two")]));
    await delay(Math.random() * 1_500, this.#signal); // the moment is what this is about
    await this.#delete(name);
  }

  /** One write, after a look whether the one before is there. */
  async #write(): Promise<void> {
    const found = await this.#persist(async (signal) => this.#client.get(configMaps, { namespace, name: "counter" }, signal));
    const n = Number(found?.data?.["n"]);
    if (!(n >= this.#writes)) this.findings.acknowledgedWrites.push(`${this.#writes} was acknowledged, and ${n} is there`);
    const body = { data: { n: String(n + 1) } };
    await this.#persist(async (signal) =>
      this.#client.patch<ConfigMap>(configMaps, { namespace, name: "counter" }, { type: "merge", body }, {}, signal),
    );
    this.#writes = n + 1;
    await delay(20, this.#signal);
  }

  #pod(name: string, restartPolicy: string, containers: readonly Record<string, unknown>[]): Pod {
    const volumes = [{ name: "ledger", hostPath: { path: this.#ledger } }];
    return JSON.parse(pod(name, { restartPolicy, containers, volumes }, { namespace })) as Pod; // made from a Pod's own fields
  }

  async #create(object: Pod): Promise<void> {
    await this.#persist(async (signal) => this.#client.create<Pod>(pods, object, {}, signal));
  }

  /** Deletes what was made, after a look whether it is there. */
  async #delete(name: string): Promise<void> {
    const found = await this.#persist(async (signal) => this.#client.get<Pod>(pods, { namespace, name }, signal));
    if (found === undefined) this.findings.acknowledgedWrites.push(`${name} was acknowledged, and is not there`);
    await this.#persist(async (signal) => this.#client.delete<Pod>(pods, { namespace, name }, { gracePeriodSeconds: 1 }, signal));
    await this.#until(name, () => false);
  }

  /** The pod once it is so, or undefined once it is gone; throws when it takes too long, which is a pod that was lost. */
  async #until(name: string, isSo: (pod: Pod) => boolean): Promise<Pod | undefined> {
    let last: Pod | undefined;
    try {
      return await eventually(async () => {
        last = await this.#persist(async (signal) => this.#client.get<Pod>(pods, { namespace, name }, signal));
        if (last !== undefined && !isSo(last)) throw new Error(`${name} is not there yet`);
        return last;
      }, WITHIN);
    } catch (cause) {
      this.findings.containers.push(`${name}: ${String(cause)}; ${JSON.stringify(last?.status)}`);
      return last;
    }
  }

  /** A request, again and again until an engine has answered it; what is there already, or gone, is what was wanted. */
  async #persist<T extends KubeObject>(request: (signal: AbortSignal) => Promise<T | undefined>): Promise<T | undefined> {
    for (;;) {
      try {
        return await request(AbortSignal.any([this.#signal, abortAfter(10_000)]));
      } catch (cause) {
        this.#signal.throwIfAborted();
        if (cause instanceof ApiError && (cause.code === 404 || cause.status.reason === "AlreadyExists")) return undefined;
        if (cause instanceof ApiError && cause.code !== 503 && cause.code !== 500) throw cause;
        await delay(50, this.#signal);
      }
    }
  }

  async #logOf(name: string, container: string): Promise<string> {
    for (;;) {
      try {
        return (
          await buffer(this.#client.logs({ namespace, name }, { container }, AbortSignal.any([this.#signal, abortAfter(10_000)])))
        ).toString();
      } catch (cause) {
        this.#signal.throwIfAborted();
        if (cause instanceof ApiError && cause.code !== 503) throw cause;
        await delay(50, this.#signal);
      }
    }
  }

  async #idsOf(name: string): Promise<string> {
    const found = await this.#persist(async (signal) => this.#client.get<Pod>(pods, { namespace, name }, signal));
    return JSON.stringify(found?.status?.containerStatuses?.map(({ containerID, restartCount }) => [containerID, restartCount]));
  }

  #runsOf(name: string): number {
    const path = join(this.#ledger, name);
    return existsSync(path) ? readFileSync(path, "utf8").split("\n").length - 1 : 0;
  }
}

const mounted = { volumeMounts: [{ name: "ledger", mountPath: "/ledger" }] };
