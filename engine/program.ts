import { ConfigError } from "./config.ts";
import { EngineError } from "./errors.ts";

const EXIT_USAGE = 64;

/** Runs a program of the engine with the words of its command line. What a person can mend is told in one line, a bug with all that is known of it. */
export async function runProgram(main: (words: readonly string[]) => Promise<void>): Promise<void> {
  process.stderr.on("error", () => {}); // whoever read the log is gone; the program goes on without
  process.umask(0o022);
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    const expected = findExpected(error);
    if (expected === undefined) throw error;
    const cause = expected.cause instanceof Error ? ` (${expected.cause.message})` : "";
    process.stderr.write(`${expected.message}${cause}\n`);
    process.exitCode = expected instanceof ConfigError ? EXIT_USAGE : 1;
  }
}

/** The error that a person can mend, behind the task that it ended; undefined for a bug. */
function findExpected(error: unknown): ConfigError | EngineError | undefined {
  if (error instanceof ConfigError || error instanceof EngineError) return error;
  return error instanceof Error ? findExpected(error.cause) : undefined;
}
