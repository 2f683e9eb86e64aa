import { resolve } from "node:path";
import { run } from "@peapod/kit";
import { exitCodes } from "../cli-error.ts";
import type { Invocation } from "../command.ts";
import { doctorProgram, findEngine } from "../engine-process.ts";
import { printValue } from "../print-value.ts";
import type { Colour } from "../terminal.ts";

/** What one check of the engine's found (engine/doctor). */
interface Finding {
  readonly name: string;
  /** `fail`: pods cannot run; `warn`: something will not work, or not well. */
  readonly state: "ok" | "warn" | "fail";
  readonly found: string;
  readonly mend?: string;
}

const marks: Record<Finding["state"], { word: string; colour: Colour }> = {
  ok: { word: "ok", colour: "green" },
  warn: { word: "warn", colour: "yellow" },
  fail: { word: "fail", colour: "red" },
};

/** `peapod doctor`: what this machine has and lacks, and what mends it. */
export async function doctor(invocation: Invocation): Promise<number> {
  const { flags, terminal } = invocation;
  const findings = [...(await checkMachine(invocation)), await checkEngine(invocation)];
  const hasFailure = findings.some(({ state }) => state === "fail");
  if (flags.string("output") !== undefined) {
    await printValue(invocation, { ready: !hasFailure, checks: findings });
  } else {
    const width = Math.max(...findings.map(({ name }) => name.length));
    for (const { name, state, found, mend } of findings) {
      const { word, colour } = marks[state];
      terminal.line(`${terminal.paint(colour, word.padEnd(4))}  ${name.padEnd(width)}  ${found}`);
      if (mend !== undefined) terminal.line(`${" ".repeat(width + 8)}mend: ${mend}`);
    }
    terminal.line(hasFailure ? "\nPods cannot run here yet." : "\nPods can run here.");
  }
  return hasFailure ? exitCodes.failure : exitCodes.success;
}

/** The engine knows what it needs of a machine: its own program looks. */
async function checkMachine({ config, signal }: Invocation): Promise<Finding[]> {
  const { stdout } = await run(process.execPath, [doctorProgram, resolve(config.stateDir), resolve(config.runDir)], { signal });
  return (JSON.parse(stdout) as { checks: Finding[] }).checks; // a program of this repository, of the same version
}

async function checkEngine({ config }: Invocation): Promise<Finding> {
  const ok = (found: string): Finding => ({ name: "engine", state: "ok", found });
  if (!config.isRoot) return ok("not looked at without root");
  const engine = await findEngine(config);
  if (engine === undefined) return ok("none is running; peapod up starts one");
  return ok(`${engine.version}, process ${engine.pid}, listens on ${engine.listen}`);
}
