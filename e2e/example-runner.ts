import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { eventually } from "@peapod/kit";
import { KUBECTL, peapod, type TestEngine } from "./engine-fixture.ts";
import { type Foreground, foreground } from "./foreground.ts";
import { freePort } from "./pods.ts";

/** Where an example's manifests lie. */
export const exampleFolder = (name: string): string => fileURLToPath(new URL(`../examples/${name}`, import.meta.url));

/** An example that runs: what it says, its own copy of the manifests, the engine, and the ports it has instead of 8088 and 8089. */
export interface RunningExample {
  readonly up: Foreground;
  readonly manifests: string;
  readonly engine: TestEngine;
  readonly ports: readonly [number, number];
}

interface ExampleRun {
  readonly engine: TestEngine;
  readonly name: string;
  readonly show: (running: RunningExample) => Promise<void>;
  /** Whether its containers end by themselves; else Ctrl-C ends it. */
  readonly endsItself: boolean;
}

/** Runs an example in the foreground until it has shown what it is to show; then it is gone, by itself or by Ctrl-C. */
export async function runExample(t: TestContext, options: ExampleRun): Promise<void> {
  const { engine, name, show, endsItself } = options;
  const ports = [await freePort(), await freePort()] as const; // somebody else may have the ones in the file
  for (const file of readdirSync(exampleFolder(name))) {
    const text = readFileSync(join(exampleFolder(name), file), "utf8");
    engine.file(`examples/${name}/${file}`, text.replaceAll("8088", String(ports[0])).replaceAll("8089", String(ports[1])));
  }
  const manifests = join(engine.stateDir, "../examples", name);
  const up = foreground(peapod, ["up", manifests], engine.environment);
  t.after(() => up.interrupt());
  await show({ up, manifests, engine, ports });
  if (!endsItself) up.interrupt();
  assert.equal(await up.ended, endsItself ? 0 : 130, up.said());
  for (const [line] of up.said().matchAll(/^\* .* exited with (?!0).*$/gm)) assert.fail(`Its containers end politely: ${line}`);
  const left = await engine.command(KUBECTL, ["get", "pods,configmaps,secrets", "-o", "name"]);
  assert.equal(left.stdout, "", "nothing is left");
}

/** Waits until the example has said something like each of these. */
export async function says(up: Foreground, ...wanted: readonly RegExp[]): Promise<void> {
  for (const pattern of wanted) await eventually(() => assert.match(up.said(), pattern), { withinMs: 15_000, everyMs: 50 });
}
