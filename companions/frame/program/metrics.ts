import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";

/** What is asked for at each scrape. */
export interface FrameReadings {
  readonly isDraining: boolean;
  readonly credentialProblems: number;
}

/** The metrics that every companion has, in a registry to which it adds its own. */
export class FrameMetrics {
  readonly registry = new Registry();
  readonly #prefix: string;
  readonly #credentialFailures;
  readonly #reloads;
  readonly #reloadFailures;
  readonly #reloadSuccessful;
  readonly #reloadTime;

  constructor({ name, version }: { readonly name: string; readonly version: string }) {
    const registers = [this.registry];
    const prefix = `${name.replaceAll("-", "_")}_`;
    this.#prefix = prefix;
    this.#credentialFailures = new Counter({
      name: `${prefix}credential_failures_total`,
      help: "How often a file with a credential or certificate stopped being good; the last good content stays in use",
      registers,
    });
    this.#reloads = new Counter({ name: `${prefix}config_reloads_total`, help: "Configurations that were taken over", registers });
    this.#reloadFailures = new Counter({
      name: `${prefix}config_reload_failures_total`,
      help: "New configurations that were refused; the old one stayed",
      registers,
    });
    this.#reloadSuccessful = new Gauge({
      name: `${prefix}config_last_reload_successful`,
      help: "1 if the configuration file as it is now is the one in use",
      registers,
    });
    this.#reloadTime = new Gauge({
      name: `${prefix}config_last_reload_success_timestamp_seconds`,
      help: "When the configuration in use was taken over",
      registers,
    });
    new Gauge({
      name: `${prefix}build_info`,
      help: "1, with the version",
      labelNames: ["version"],
      registers,
      collect() {
        this.set({ version }, 1);
      },
    });
  }

  /** Adds the process's own: processor time, memory, descriptors, the event loop's lag. Once for each process. */
  addProcessMetrics(): void {
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 100 });
  }

  /** A file with a credential stopped being good. */
  credentialFailed(): void {
    this.#credentialFailures.inc();
  }

  /** The file as it is now was taken over. */
  reloaded(nowMs: number): void {
    this.#reloads.inc();
    this.#reloadSuccessful.set(1);
    this.#reloadTime.set(nowMs / 1000);
  }

  /** The file as it is now was refused. */
  reloadFailed(): void {
    this.#reloadFailures.inc();
    this.#reloadSuccessful.set(0);
  }

  /** Adds the gauges that are read at each scrape. */
  readFrom(read: () => FrameReadings): void {
    const gauge = (name: string, help: string, value: (readings: FrameReadings) => number): void => {
      new Gauge({
        name: `${this.#prefix}${name}`,
        help,
        registers: [this.registry],
        collect() {
          this.set(value(read()));
        },
      });
    };
    gauge("draining", "1 while it ends", ({ isDraining }) => Number(isDraining));
    const problems = "Files with credentials or certificates that are no good now";
    gauge("credential_problems", problems, ({ credentialProblems }) => credentialProblems);
  }

  /** Everything, in Prometheus' text format, version 0.0.4. */
  async text(): Promise<{ readonly contentType: string; readonly body: string }> {
    return { contentType: this.registry.contentType, body: await this.registry.metrics() };
  }
}
