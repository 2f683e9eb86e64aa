import { isAbort, type LogLevel, systemClock } from "@peapod/kit";
import { formatAddress } from "../address.ts";
import type { CommonConfig } from "../config/common.ts";
import { chooseConfigSource, loadConfig } from "../config/load-config.ts";
import { CompanionError } from "../errors.ts";
import { createLevelLogger } from "../log/level-logger.ts";
import { createLogWriter } from "../log/log-writer.ts";
import { type Command, exitCodes, parseCommandLine, UsageError } from "./command-line.ts";
import type { Companion } from "./companion.ts";
import { helpText } from "./help.ts";
import { interrupts } from "./interrupts.ts";
import { waitReady } from "./wait.ts";

/** Runs a companion as a program, by the command line and environment of this process, and sets its exit code. All that a main.ts does. */
export async function runProgram<Config extends CommonConfig>(companion: Companion<Config>): Promise<void> {
  try {
    const command = parseCommandLine(process.argv.slice(2), companion.wait);
    process.exitCode = await execute(command, companion);
    if (command.kind === "run") process.exit(); // everything has ended: what a library may still hold open must not keep the pod
  } catch (error) {
    const expected = findExpected(error);
    if (expected === undefined) throw error;
    process.stderr.write(`${expected.message}\n`);
    process.exitCode = expected instanceof UsageError || expected.code === "CONFIG_INVALID" ? exitCodes.usage : exitCodes.failure;
  }
}

async function execute<Config extends CommonConfig>(command: Command, companion: Companion<Config>): Promise<number> {
  switch (command.kind) {
    case "help":
      process.stdout.write(helpText(companion));
      return exitCodes.success;
    case "version":
      process.stdout.write(`${companion.version}\n`);
      return exitCodes.success;
    case "check":
      process.stdout.write(`${describeConfig(companion, command.config)}\n`);
      return exitCodes.success;
    case "wait":
      return await wait(command, companion);
    case "run":
      return await run(command.config, companion);
  }
}

/** One line about a configuration that is valid. Throws CONFIG_INVALID with a line for each problem of one that is not. */
function describeConfig<Config extends CommonConfig>({ schema, summary }: Companion<Config>, flag: string | undefined): string {
  const source = chooseConfigSource(schema.variables, flag, process.env);
  const where = source.kind === "file" ? source.path : "The environment";
  const config = loadConfig(schema, source);
  return `${where}: valid${summary === undefined ? "" : `, ${summary(config)}`}`;
}

async function run<Config extends CommonConfig>(flag: string | undefined, companion: Companion<Config>): Promise<number> {
  const source = chooseConfigSource(companion.schema.variables, flag, process.env);
  const [{ runCompanion }, { FrameMetrics }, start] = await Promise.all([import("./run.ts"), import("./metrics.ts"), companion.load()]); // `wait` runs often, and needs none of them
  const { stop, hurry } = interrupts();
  const writer = createLogWriter(process.stderr.fd);
  const log = createLevelLogger({ level: "info", write: (line) => writer.write(line) });
  const metrics = new FrameMetrics(companion);
  metrics.addProcessMetrics();
  try {
    const parts = { source, metrics, log, clock: systemClock, setLogLevel: (level: LogLevel): void => log.setLevel(level) };
    await runCompanion({ ...companion, start }, parts, stop, hurry);
    log.info(`${companion.name} ends`);
    return exitCodes.success;
  } finally {
    await writer.flush();
  }
}

async function wait<Config extends CommonConfig>(
  command: Extract<Command, { kind: "wait" }>,
  { schema }: Companion<Config>,
): Promise<number> {
  const configured = (): CommonConfig => loadConfig(schema, chooseConfigSource(schema.variables, command.config, process.env));
  const listen = command.admin === undefined ? configured().admin?.listen : undefined;
  const admin = command.admin ?? (listen === undefined ? undefined : formatAddress(listen));
  if (admin === undefined) throw new UsageError("wait asks the admin server, and the configuration has none: set admin.listen");
  const { stop } = interrupts();
  const problem = await waitReady({ ...command, admin, clock: systemClock }, stop).catch((cause: unknown) => {
    if (isAbort(cause, stop)) return "interrupted";
    throw cause;
  });
  if (problem === undefined) return exitCodes.success;
  process.stderr.write(`Not ready after ${command.timeoutMs / 1000} s: ${problem}\n`);
  return exitCodes.failure;
}

/** The error that a person can mend, behind the task that it ended; undefined for a bug. */
function findExpected(error: unknown): CompanionError | UsageError | undefined {
  if (error instanceof CompanionError || error instanceof UsageError) return error;
  return error instanceof Error ? findExpected(error.cause) : undefined;
}
