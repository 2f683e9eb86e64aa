import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { hostname } from "node:os";
import { isAbsolute } from "node:path";
import { parseArgs } from "node:util";
import { type LogLevel, messageOf } from "@peapod/kit";

/** What `peapod serve` runs with. Flags win over the environment. */
export interface EngineConfig {
  readonly stateDir: string;
  readonly runDir: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly nodeName: string;
  readonly logLevel: LogLevel;
  /** The OCI runtime to use; undefined: crun where it works, else runc. */
  readonly runtimePath: string | undefined;
  /** End when nothing has been left to run for this long; undefined: never. */
  readonly idleExitMinutes: number | undefined;
  /** What becomes of pods that run and that no object tells of, as after the store was moved away. */
  readonly unknownPods: "keep" | "remove";
  /** Node addresses for pods; undefined: chosen free of the machine's routes. */
  readonly podCIDR: string | undefined;
  /** How many processes and threads one pod may have, and all pods together. */
  readonly pidsLimits: { readonly pod: number | "max"; readonly total: number | "max" };
}

/** One option of the engine, as `peapod serve --help` and the documents show it. */
export interface OptionDescription {
  readonly flag: string;
  readonly environment: string;
  readonly fallback: string;
  readonly help: string;
}

/** The engine's options: what each is, its default and why that default. */
export const engineOptions = [
  {
    flag: "state-dir",
    environment: "PEAPOD_STATE_DIR",
    fallback: "/var/lib/peapod",
    help: "Directory of what outlives a reboot: objects, images, logs, certificates; /var/lib is the place for that",
  },
  {
    flag: "run-dir",
    environment: "PEAPOD_RUN_DIR",
    fallback: "/run/peapod",
    help: "Directory of what ends with the machine's boot: namespaces, mounts, exit codes; /run is emptied at boot",
  },
  {
    flag: "listen",
    environment: "PEAPOD_LISTEN",
    fallback: "127.0.0.1:7443",
    help: "HOST:PORT of the API, port 0 for any free one; loopback, so that nobody outside the machine can even try",
  },
  {
    flag: "node-name",
    environment: "PEAPOD_NODE_NAME",
    fallback: "",
    help: "The node's name in the API; the machine's hostname where empty",
  },
  {
    flag: "runtime",
    environment: "PEAPOD_RUNTIME",
    fallback: "",
    help: "Path of the OCI runtime; crun where it works, else runc, where empty",
  },
  {
    flag: "pod-cidr",
    environment: "PEAPOD_POD_CIDR",
    fallback: "",
    help: "IPv4 network of the pods, such as 10.88.7.0/24; one free of the machine's routes where empty",
  },
  {
    flag: "pod-pids-limit",
    environment: "PEAPOD_POD_PIDS_LIMIT",
    fallback: "4096",
    help: "Processes and threads that one pod may have, or none for no limit; far more than usual programs need, and far less than a machine has",
  },
  {
    flag: "total-pids-limit",
    environment: "PEAPOD_TOTAL_PIDS_LIMIT",
    fallback: "",
    help: "Processes and threads that all pods may have together, or none; three quarters of the machine's where empty, so that it can still be used",
  },
  {
    flag: "idle-exit-minutes",
    environment: "PEAPOD_IDLE_EXIT_MINUTES",
    fallback: "",
    help: "Minutes without anything to run after which the engine ends itself; never where empty",
  },
  {
    flag: "unknown-pods",
    environment: "PEAPOD_UNKNOWN_PODS",
    fallback: "keep",
    help: "keep or remove pods that run and that no object tells of, as after a damaged store.db was moved away; their data may be all that is left of them",
  },
  {
    flag: "log-level",
    environment: "PEAPOD_LOG_LEVEL",
    fallback: "info",
    help: "error, warn, info or debug; info tells each change of state once",
  },
] as const satisfies readonly OptionDescription[];

type Flag = (typeof engineOptions)[number]["flag"];

/** Bad options: every problem at once, a line each. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** Parses flags and environment into one frozen object, or throws a ConfigError that names every problem. */
export function parseConfig(args: readonly string[], environment: Readonly<Record<string, string | undefined>>): EngineConfig {
  const problems: string[] = [];
  const flags = parseFlags(args, problems);
  const value = (flag: Flag): { text: string; from: string } => {
    const option = engineOptions.find((one) => one.flag === flag);
    const given = flags[flag];
    if (given !== undefined) return { text: given, from: `--${flag}` };
    const name = option?.environment ?? "";
    const text = environment[name];
    return text === undefined || text === "" ? { text: option?.fallback ?? "", from: name } : { text, from: name };
  };
  const read = <T>(flag: Flag, wanted: string, parse: (text: string) => T | undefined, fallback: T): T => {
    const { text, from } = value(flag);
    const parsed = parse(text);
    if (parsed !== undefined) return parsed;
    problems.push(`${from}: ${JSON.stringify(text)} is not ${wanted}`);
    return fallback;
  };
  const config: EngineConfig = {
    stateDir: read("state-dir", "an absolute path", absolutePath, ""),
    runDir: read("run-dir", "an absolute path", absolutePath, ""),
    listen: read("listen", "HOST:PORT with an IP address or localhost, such as 127.0.0.1:7443", address, { host: "", port: 0 }),
    nodeName: read("node-name", "a DNS name in lower case", nodeName, ""),
    logLevel: read("log-level", "error, warn, info or debug", logLevel, "info"),
    runtimePath: read("runtime", "an absolute path", (text) => optional(text, absolutePath), { value: undefined }).value,
    idleExitMinutes: read("idle-exit-minutes", "a number of minutes above 0", (text) => optional(text, minutes), { value: undefined })
      .value,
    unknownPods: read("unknown-pods", "keep or remove", (text) => (["keep", "remove"] as const).find((word) => word === text), "keep"),
    podCIDR: read("pod-cidr", "an IPv4 network with 16 to 28 bits, such as 10.88.7.0/24", (text) => optional(text, cidr), {
      value: undefined,
    }).value,
    pidsLimits: {
      pod: read("pod-pids-limit", "a whole number above 0, or none", pidsLimit, "max"),
      total: read("total-pids-limit", "a whole number above 0, or none", (text) => (text === "" ? machineShare() : pidsLimit(text)), "max"),
    },
  };
  if (problems.length > 0) throw new ConfigError(problems.join("\n"));
  return Object.freeze(config);
}

function parseFlags(args: readonly string[], problems: string[]): Partial<Record<string, string>> {
  const options = Object.fromEntries(engineOptions.map(({ flag }) => [flag, { type: "string" as const }]));
  try {
    const { values } = parseArgs({ args: [...args], options, strict: true, allowPositionals: false });
    return Object.fromEntries(Object.entries(values).filter((entry): entry is [string, string] => typeof entry[1] === "string"));
  } catch (cause) {
    problems.push(messageOf(cause));
    return {};
  }
}

function absolutePath(text: string): string | undefined {
  return isAbsolute(text) && !text.includes("\0") ? text.replace(/(.)\/+$/, "$1") : undefined;
}

function optional<T>(text: string, parse: (text: string) => T | undefined): { value: T | undefined } | undefined {
  if (text === "") return { value: undefined };
  const value = parse(text);
  return value === undefined ? undefined : { value };
}

function address(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3]);
  if (match === null || port > 65_535 || (host !== "localhost" && isIP(host) === 0)) return undefined;
  return { host: host === "localhost" ? "127.0.0.1" : host, port };
}

function nodeName(text: string): string | undefined {
  const name = text === "" ? hostname().toLowerCase() : text;
  return /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(name) ? name : undefined;
}

function logLevel(text: string): LogLevel | undefined {
  return (["error", "warn", "info", "debug"] as const).find((level) => level === text);
}

function minutes(text: string): number | undefined {
  const value = Number(text);
  return value > 0 && Number.isFinite(value) ? value : undefined;
}

function pidsLimit(text: string): number | "max" | undefined {
  if (text === "none") return "max";
  return /^[1-9]\d{0,6}$/.test(text) ? Number(text) : undefined;
}

/** Three quarters of the processes and threads that the kernel allows. */
function machineShare(): number {
  const read = (name: string): number => Number(readFileSync(`/proc/sys/kernel/${name}`, "utf8"));
  return Math.floor(Math.min(read("pid_max"), read("threads-max")) * 0.75);
}

function cidr(text: string): string | undefined {
  const [ip = "", bits = ""] = text.split("/");
  return isIP(ip) === 4 && /^\d+$/.test(bits) && Number(bits) >= 16 && Number(bits) <= 28 ? text : undefined;
}
