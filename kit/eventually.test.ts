import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "./eventually.ts";

test("eventually() tries until it is so, and gives the value", async () => {
  let tries = 0;
  const check = () => {
    tries++;
    if (tries === 1) throw new Error("not yet");
    return tries < 3 ? (false as const) : `try ${tries}`;
  };
  assert.equal(await eventually(check, { withinMs: 5_000, everyMs: 1 }), "try 3");
});

test("eventually() takes undefined and 0 for an answer", async () => {
  assert.equal(await eventually(() => undefined, { withinMs: 0 }), undefined);
  assert.equal(await eventually(async () => 0, { withinMs: 0 }), 0);
});

test("eventually() tells what the last try said", async () => {
  let tries = 0;
  const failing = eventually(
    () => {
      throw new Error(`failure ${++tries}`);
    },
    { withinMs: 30, everyMs: 5 },
  );
  await assert.rejects(failing, (error: Error) => {
    assert.equal(error.message, "Not so within 30 ms");
    assert.equal((error.cause as Error).message, `failure ${tries}`);
    return true;
  });
  assert.ok(tries > 1);
  await assert.rejects(
    eventually(() => false, { withinMs: 0 }),
    (error: Error) => /still says false/.test((error.cause as Error).message),
  );
});
