/**
 * Looks at this machine as the engine would, and prints what it has and lacks as JSON: `{"checks": [Finding]}`.
 * usage: node main.ts STATE_DIR RUN_DIR
 */
import { abortAfter } from "@peapod/kit";
import { checkCgroups } from "./cgroups.ts";
import type { CheckFacts } from "./check.ts";
import { checkKernel } from "./kernel.ts";
import { checkNetwork } from "./network.ts";
import { checkPrograms } from "./programs.ts";

const LIMIT_MS = 30_000;

const [stateDir = "", runDir = ""] = process.argv.slice(2);
const facts: CheckFacts = { stateDir, runDir, isRoot: process.getuid?.() === 0, signal: abortAfter(LIMIT_MS) };
const groups = await Promise.all([checkKernel, checkCgroups, checkPrograms, checkNetwork].map((check) => check(facts)));
process.stdout.write(`${JSON.stringify({ checks: groups.flat() })}\n`);
