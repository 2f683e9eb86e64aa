import type { Clock, LogFields, Logger } from "@peapod/kit";
import type { Html } from "../admin/html.ts";
import type { Route } from "../admin/admin-server.ts";
import type { CommonConfig } from "../config/common.ts";
import type { ConfigSchema } from "../config/schema.ts";
import type { FileCredentials } from "../credentials/file-credentials.ts";
import type { FrameMetrics } from "./metrics.ts";

/** A companion, as its main.ts tells the frame of it. Everything but its work is the frame's: command line, configuration, admin server, signals. */
export interface Companion<Config extends CommonConfig> {
  /** Of its folder, its program and its image: `ambassador`. What its metrics begin with. */
  readonly name: string;
  readonly version: string;
  readonly schema: ConfigSchema<Config>;
  readonly help: HelpWords;
  /** What a valid configuration has, for `check`: `2 listeners`. Default: nothing is said. */
  readonly summary?: (config: Config) => string;
  /** What `wait` asks `/readyz` for, and the flags that ask for more. Default: nothing. */
  readonly wait?: WaitWords;
  /** Loads the work when it runs: `check`, `wait` and `--help` do without. */
  readonly load: () => Promise<StartWork<Config>>;
}

/** The companion's own words in what `--help` prints. */
export interface HelpWords {
  /** What it is, in a few lines. */
  readonly about: string;
  /** What `run` does: `listen and forward`. */
  readonly run: string;
  /** What `wait` waits for: `its listeners accept`. Default: that it works. */
  readonly ready?: string;
  /** What the environment alone can say: `one listener`. Default: all of it. */
  readonly simple?: string;
  /** Command lines. Default: those that every companion has. */
  readonly examples?: readonly string[];
}

/** See Companion.wait. */
export interface WaitWords {
  readonly query: Readonly<Record<string, string>>;
  /** Each has a value, and puts it into the query under its name. */
  readonly flags: readonly { readonly name: string; readonly value: string; readonly help: string }[];
}

/** Begins the work, with nothing to do yet: `apply` says what. */
export type StartWork<Config> = (parts: WorkParts) => Work<Config>;

/** What the frame gives to the work. */
export interface WorkParts {
  /** After each configuration that it took over, the work says which files it still needs: `keepFor`. */
  readonly credentials: FileCredentials;
  readonly metrics: FrameMetrics;
  readonly log: Logger;
  readonly clock: Clock;
}

/** What a companion does, between its configuration and its end. Whoever started it disposes of it, which ends what is left. */
export interface Work<Config> extends AsyncDisposable {
  /**
   * Works by this configuration from now on; gives what changed, for the log. Throws a CompanionError, and then everything is as it was before.
   * One call at a time; the first comes before `run`.
   */
  apply(config: Config): Promise<LogFields>;
  /** What goes on in the background until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
  /** Begins nothing any more; resolves when what goes on has ended, by itself or once the configuration's `drainMs` have passed. `hurry` cuts it short. */
  drain(hurry: AbortSignal): Promise<void>;
  /** Why it is not ready, a line each; none: it is. Asked often: it looks at what is known, and dials nobody. */
  problems(): readonly string[];
  /** What goes on, for the log when it drains. */
  pending?(): LogFields;
  /** Brings the metrics up to now, before they are read. */
  report?(): Promise<void>;
  /** What `/status` has besides the frame's own. There is no credential in it. */
  status?(): object;
  /** What the page has besides the frame's own: sections. */
  page?(nowMs: number): Html;
  /** Paths of the admin server besides the frame's own, or in place of them. */
  readonly routes?: ReadonlyMap<string, Route>;
}
