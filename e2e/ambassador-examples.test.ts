import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startEngine } from "./engine-fixture.ts";
import { exampleFolder, type RunningExample, runExample, says } from "./example-runner.ts";

/** What each example of an ambassador shows, by its folder. */
const examples: Readonly<Record<string, (running: RunningExample) => Promise<void>>> = {
  "ambassador-haproxy": async ({ up, manifests, engine, ports: [published] }) => {
    await says(up, /application +\| the API says: 7 pieces in stock, for shop/);
    assert.equal((await fetch(`http://127.0.0.1:${published}/`)).status, 401, "the outside wants a login");
    await change(engine, manifests, "credentials.yaml", "open-sesame", "wrong");
    await says(up, /haproxy +\| reloaded/, /application +\| the API says: .*401/);
    await change(engine, manifests, "haproxy.yaml", "timeout connect 2s", "timeout connect soon");
    await says(
      up,
      /haproxy +\| .*haproxy\.cfg:\d+\] : unexpected character 's' in 'timeout connect'/,
      /haproxy +\| refused: the old configuration stays/,
    );
    await change(engine, manifests, "haproxy.yaml", "timeout connect soon", "timeout connect 3s");
    await change(engine, manifests, "credentials.yaml", "wrong", "open-sesame");
    await says(up, /401[^]*the API says: 7 pieces in stock, for shop/);
  },
};

test("every example of an ambassador is run here", () => {
  const there = readdirSync(exampleFolder(".")).filter((name) => name.startsWith("ambassador-"));
  assert.deepEqual(there.toSorted(), Object.keys(examples).toSorted());
});

test("the ambassadors stand for the outside world", async (t) => {
  const engine = await startEngine(t);
  for (const [name, show] of Object.entries(examples))
    await t.test(name, (inner) => runExample(inner, { engine, name, show, endsItself: false }));
});

/** Changes a text of the example's manifests, and has it taken over. */
async function change(engine: RunningExample["engine"], manifests: string, file: string, from: string, to: string): Promise<void> {
  const path = join(manifests, file);
  const text = readFileSync(path, "utf8");
  assert.ok(text.includes(from), `${file} has ${from}`);
  writeFileSync(path, text.replace(from, to));
  await engine.peapod("up", "-d", manifests);
}
