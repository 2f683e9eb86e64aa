/** The fault run in its long form. usage: npm run faults [-- KILLS] (500; some fifteen minutes) */
import { inspect } from "node:util";
import { untilSignal } from "@peapod/kit";
import type { TestScope } from "./engine-fixture.ts";
import { runFaults } from "./fault-run.ts";

const kills = Number(process.argv[2] ?? 500);
if (!Number.isInteger(kills) || kills < 1) throw new Error("usage: npm run faults [-- KILLS]");

const interrupted = new AbortController();
void untilSignal(["SIGINT", "SIGTERM"], AbortSignal.any([])).then(() => interrupted.abort(new Error("Interrupted")));
const stack = new AsyncDisposableStack();
const scope: TestScope = {
  signal: interrupted.signal,
  after: (release) => stack.defer(release as () => Promise<void>), // the fixture gives one that takes nothing
};
const say = (line: string): boolean => process.stdout.write(`${line}\n`);
try {
  const findings = await runFaults(scope, kills, say);
  for (const sentence of Object.values(findings).flat()) say(sentence);
  const wrong = Object.values(findings).flat().length;
  await stack.disposeAsync(); // fails where anything is left on the machine
  say(`${kills} kills of the engine at work: ${wrong} containers, log lines or acknowledged writes lost, doubled or wrong; 0 leftovers`);
  process.exitCode = wrong === 0 ? 0 : 1;
} catch (error) {
  say(inspect(error)); // before the clean-up, which may fail for the same reason
  process.exitCode = 1;
}
await stack.disposeAsync().catch((error: unknown) => {
  say(inspect(error));
  process.exitCode = 1;
});
process.exit();
