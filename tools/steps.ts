import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The root of the repository. */
export const root: string = fileURLToPath(new URL("..", import.meta.url));

export interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** What to run, or do, when it fails. */
  readonly fix: string;
}

/** Runs steps one after the other, each with its output; at the first that fails says how to mend it and gives false. */
export async function runSteps(steps: readonly Step[]): Promise<boolean> {
  for (const step of steps) {
    process.stdout.write(`== ${step.name}\n`);
    const startedMs = performance.now();
    const ok = await succeeds(step.command);
    if (!ok) {
      process.stdout.write(`== ${step.name} failed. To mend it: ${step.fix}\n`);
      return false;
    }
    process.stdout.write(`== ${step.name}: fine, ${((performance.now() - startedMs) / 1000).toFixed(1)} s\n`);
  }
  return true;
}

function succeeds([command, ...args]: readonly [string, ...string[]]): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  child.once("error", () => resolve(false));
  child.once("close", (code) => resolve(code === 0));
  return promise;
}

/** The arguments of node's test runner for some files: a skipped test counts as a failure. */
export function testCommand(patterns: readonly string[], concurrency: number): readonly [string, ...string[]] {
  return [
    process.execPath,
    "--test",
    `--test-concurrency=${concurrency}`,
    "--test-reporter=./tools/skip-reporter.ts",
    "--test-reporter-destination=stderr",
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
    ...patterns,
  ];
}
