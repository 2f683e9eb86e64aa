import { resolve } from "node:path";
import { exitCodes } from "../cli-error.ts";
import type { Invocation } from "../command.ts";
import { checkCgroups } from "../doctor/cgroups.ts";
import { type CheckFacts, type Finding, ok } from "../doctor/check.ts";
import { checkKernel } from "../doctor/kernel.ts";
import { checkNetwork } from "../doctor/network.ts";
import { checkPrograms } from "../doctor/programs.ts";
import { findEngine } from "../engine-process.ts";
import { printValue } from "../print-value.ts";
import type { Colour } from "../terminal.ts";

const marks: Record<Finding["state"], { word: string; colour: Colour }> = {
  ok: { word: "ok", colour: "green" },
  warn: { word: "warn", colour: "yellow" },
  fail: { word: "fail", colour: "red" },
};

/** `peapod doctor`: what this machine has and lacks, and what mends it. */
export async function doctor(invocation: Invocation): Promise<number> {
  const { config, flags, terminal, signal } = invocation;
  const facts: CheckFacts = { stateDir: resolve(config.stateDir), runDir: resolve(config.runDir), isRoot: config.isRoot, signal };
  const groups = await Promise.all([checkKernel, checkCgroups, checkPrograms, checkNetwork].map((check) => check(facts)));
  const findings = [...groups.flat(), await checkEngine(invocation)];
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

async function checkEngine({ config }: Invocation): Promise<Finding> {
  if (!config.isRoot) return ok("engine", "not looked at without root");
  const engine = await findEngine(config);
  if (engine === undefined) return ok("engine", "none is running; peapod up starts one");
  return ok("engine", `${engine.version}, process ${engine.pid}, listens on ${engine.listen}`);
}
