/** The ambassador. usage: node main.ts [run] [--config FILE] | check FILE | wait [FLAG...] | --help */
import { isAbort, systemClock } from "@peapod/kit";
import { chooseConfigSource, loadConfig } from "./config/load-config.ts";
import { AmbassadorError } from "./errors.ts";
import { formatAddress } from "../frame/address.ts";
import { describeConfig } from "./operations/check.ts";
import { type Command, exitCodes, helpText, parseCommandLine, UsageError } from "./operations/command-line.ts";
import { createLevelLogger } from "./operations/level-logger.ts";
import { createLogWriter } from "./operations/log-writer.ts";
import { interrupts } from "./operations/interrupts.ts";
import { VERSION } from "./operations/version.ts";
import { waitReady } from "./operations/wait.ts";

try {
  const command = parseCommandLine(process.argv.slice(2));
  process.exitCode = await execute(command);
  if (command.kind === "run") process.exit(); // everything has ended: what a library may still hold open must not keep the pod
} catch (error) {
  const expected = findExpected(error);
  if (expected === undefined) throw error;
  process.stderr.write(`${expected.message}\n`);
  process.exitCode = expected instanceof UsageError || expected.code === "CONFIG_INVALID" ? exitCodes.usage : exitCodes.failure;
}

async function execute(command: Command): Promise<number> {
  switch (command.kind) {
    case "help":
      process.stdout.write(helpText);
      return exitCodes.success;
    case "version":
      process.stdout.write(`${VERSION}\n`);
      return exitCodes.success;
    case "check":
      process.stdout.write(`${describeConfig(chooseConfigSource(command.config, process.env))}\n`);
      return exitCodes.success;
    case "wait":
      return await wait(command);
    case "run":
      return await run(command.config);
  }
}

async function run(config: string | undefined): Promise<number> {
  const source = chooseConfigSource(config, process.env);
  const [{ runAmbassador }, { Metrics }] = await Promise.all([import("./operations/run.ts"), import("./operations/metrics.ts")]); // `wait` runs often, and needs neither
  const { stop, hurry } = interrupts();
  const writer = createLogWriter(process.stderr.fd);
  const log = createLevelLogger({ level: "info", write: (line) => writer.write(line) });
  const metrics = new Metrics();
  metrics.addProcessMetrics();
  try {
    await runAmbassador({ source, metrics, log, clock: systemClock, setLogLevel: (level) => log.setLevel(level) }, stop, hurry);
    log.info("ambassador ends");
    return exitCodes.success;
  } finally {
    await writer.flush();
  }
}

async function wait(command: Extract<Command, { kind: "wait" }>): Promise<number> {
  const listen = command.admin === undefined ? loadConfig(chooseConfigSource(command.config, process.env)).admin?.listen : undefined;
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
function findExpected(error: unknown): AmbassadorError | UsageError | undefined {
  if (error instanceof AmbassadorError || error instanceof UsageError) return error;
  return error instanceof Error ? findExpected(error.cause) : undefined;
}
