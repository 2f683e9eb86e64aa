import { type Clock, type Logger, untilAborted } from "@peapod/kit";
import type { AmbassadorConfig } from "../config/config.ts";
import { type ConfigSource, loadConfig, readConfigFile } from "../config/load-config.ts";
import { parseConfig } from "../config/parse-config.ts";
import { AmbassadorError } from "../errors.ts";
import { followFile } from "./follow-file.ts";
import type { Metrics } from "./metrics.ts";
import type { ReloadPlan } from "./plan-reload.ts";

/** What the admin page says about the configuration. */
export interface ConfigurationState {
  /** The file; undefined where the environment says everything. */
  readonly path: string | undefined;
  /** When the one in use was taken over. */
  readonly appliedAtMs: number;
  /** Why the file as it is now was refused; undefined: it is the one in use. */
  readonly problem: string | undefined;
}

export interface ConfigurationParts {
  readonly source: ConfigSource;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly clock: Clock;
  /** Takes a configuration over, or throws an AmbassadorError and leaves everything as it was. */
  readonly apply: (config: AmbassadorConfig) => Promise<ReloadPlan>;
}

type FileSource = Extract<ConfigSource, { kind: "file" }>;

/** The configuration from where it is: taken over at the start, and again each time that its file says something new. */
export class Configuration {
  readonly #parts: ConfigurationParts;
  #state: ConfigurationState;
  #text = "";
  #busy: Promise<void> = Promise.resolve();

  constructor(parts: ConfigurationParts) {
    this.#parts = parts;
    this.#state = { path: parts.source.kind === "file" ? parts.source.path : undefined, appliedAtMs: 0, problem: undefined };
  }

  get state(): ConfigurationState {
    return this.#state;
  }

  /** Takes the first one over. Throws CONFIG_INVALID or LISTEN_FAILED. */
  async start(): Promise<void> {
    const { source, apply, metrics, clock } = this.#parts;
    if (source.kind === "file") this.#text = readConfigFile(source.path);
    await apply(source.kind === "file" ? parseConfig(this.#text, source.path, source.environment) : loadConfig(source));
    this.#state = { ...this.#state, appliedAtMs: clock.nowMs() };
    metrics.reloaded(clock.nowMs());
  }

  /** Follows the file until the signal is aborted; SIGHUP reads it at once, changed or not. */
  async follow(signal: AbortSignal): Promise<void> {
    const { source, clock, log } = this.#parts;
    const onHangUp = (): void => {
      if (source.kind === "environment") log.warn("nothing to reload: the environment of a process cannot change");
      else void this.#reloadNow(source);
    };
    process.on("SIGHUP", onHangUp);
    try {
      if (source.kind === "file") await this.#followFile(source, clock, signal);
      else await untilAborted(signal);
    } finally {
      process.off("SIGHUP", onHangUp);
      await this.#busy;
    }
  }

  async #followFile(source: FileSource, clock: Clock, signal: AbortSignal): Promise<void> {
    const { log } = this.#parts;
    const onMissing = (cause: AmbassadorError): void =>
      log.warn("configuration file cannot be read: the one in use stays", { error: cause.message });
    const onChange = (text: string): Promise<void> => this.#reload(source, text, false);
    await followFile({ path: source.path, known: this.#text, clock, onChange, onMissing }, signal);
  }

  async #reloadNow(source: FileSource): Promise<void> {
    try {
      await this.#reload(source, readConfigFile(source.path), true);
    } catch (cause) {
      this.#refuse(cause);
    }
  }

  /** One at a time. `isForced`: also where the text is the one that was read last. */
  async #reload({ path, environment }: FileSource, text: string, isForced: boolean): Promise<void> {
    const before = this.#busy;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#busy = promise;
    await before;
    try {
      if (text === this.#text && !isForced) return; // SIGHUP was faster
      this.#text = text;
      const { unchanged, ...changes } = await this.#parts.apply(parseConfig(text, path, environment));
      this.#state = { ...this.#state, appliedAtMs: this.#parts.clock.nowMs(), problem: undefined };
      this.#parts.metrics.reloaded(this.#parts.clock.nowMs());
      this.#parts.log.info("configuration reloaded", { ...changes, unchanged: unchanged.length });
    } catch (cause) {
      this.#refuse(cause);
    } finally {
      resolve();
    }
  }

  #refuse(cause: unknown): void {
    if (!(cause instanceof AmbassadorError)) throw cause;
    this.#state = { ...this.#state, problem: cause.message };
    this.#parts.metrics.reloadFailed();
    this.#parts.log.error("new configuration refused: the one in use stays", { code: cause.code, problems: cause.message.split("\n") });
  }
}
