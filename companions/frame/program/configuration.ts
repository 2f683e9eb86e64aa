import type { ConfigurationState } from "../admin/status.ts";
import { type Clock, type LogFields, type Logger, untilAborted } from "@peapod/kit";
import { type ConfigSource, loadConfig, readConfigFile } from "../config/load-config.ts";
import { parseConfig } from "../config/parse-config.ts";
import { CompanionError } from "../errors.ts";
import type { ConfigSchema } from "../config/schema.ts";
import { followFile } from "./follow-file.ts";
import type { FrameMetrics } from "./metrics.ts";

export interface ConfigurationParts<Config> {
  readonly schema: ConfigSchema<Config>;
  readonly source: ConfigSource;
  readonly metrics: Pick<FrameMetrics, "reloaded" | "reloadFailed">;
  readonly log: Logger;
  readonly clock: Clock;
  /** Takes a configuration over and gives what changed, for the log; or throws a CompanionError and leaves everything as it was. */
  readonly apply: (config: Config) => Promise<LogFields>;
}

type FileSource = Extract<ConfigSource, { kind: "file" }>;

/** The configuration from where it is: taken over at the start, and again each time that its file says something new. */
export class Configuration<Config> {
  readonly #parts: ConfigurationParts<Config>;
  #state: ConfigurationState;
  #text = "";
  #busy: Promise<void> = Promise.resolve();

  constructor(parts: ConfigurationParts<Config>) {
    this.#parts = parts;
    this.#state = { path: parts.source.kind === "file" ? parts.source.path : undefined, appliedAtMs: 0, problem: undefined };
  }

  get state(): ConfigurationState {
    return this.#state;
  }

  /** Takes the first one over. Throws CONFIG_INVALID or LISTEN_FAILED. */
  async start(): Promise<void> {
    const { schema, source, apply, metrics, clock } = this.#parts;
    if (source.kind === "file") this.#text = readConfigFile(source.path);
    await apply(source.kind === "file" ? parseConfig(schema, this.#text, source.path, source.environment) : loadConfig(schema, source));
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
    const onMissing = (cause: CompanionError): void =>
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
      const changes = await this.#parts.apply(parseConfig(this.#parts.schema, text, path, environment));
      this.#state = { ...this.#state, appliedAtMs: this.#parts.clock.nowMs(), problem: undefined };
      this.#parts.metrics.reloaded(this.#parts.clock.nowMs());
      this.#parts.log.info("configuration reloaded", changes);
    } catch (cause) {
      this.#refuse(cause);
    } finally {
      resolve();
    }
  }

  #refuse(cause: unknown): void {
    if (!(cause instanceof CompanionError)) throw cause;
    this.#state = { ...this.#state, problem: cause.message };
    this.#parts.metrics.reloadFailed();
    this.#parts.log.error("new configuration refused: the one in use stays", { code: cause.code, problems: cause.message.split("\n") });
  }
}
