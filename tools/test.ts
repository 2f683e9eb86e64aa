/** `npm test`: the whole truth. The check, then the end-to-end tests, each of which drives a real engine. */
import { checkSteps } from "./check.ts";
import { runSteps, testCommand } from "./steps.ts";

const ok = await runSteps([
  ...checkSteps,
  { name: "End-to-end tests", command: testCommand(["e2e/**/*.test.ts"], 2), fix: "node --test e2e/FILE runs one file alone" },
]);
process.exitCode = ok ? 0 : 1;
