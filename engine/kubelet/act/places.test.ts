import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { eventually } from "@peapod/kit";
import { Places } from "./places.ts";

function open(t: TestContext, heldMs = 60_000): { places: Places; admitted: string[] } {
  const admitted: string[] = [];
  const places = new Places({ limit: 2, heldMs, onAdmitted: (uid) => admitted.push(uid) });
  t.after(() => places.stop());
  return { places, admitted };
}

test("Places lets so many in, and the next in order when one leaves", (t) => {
  const { places, admitted } = open(t);
  assert.deepEqual(
    ["a", "b", "c", "d", "a"].map((uid) => places.enter(uid)),
    [true, true, false, false, true],
  );
  places.leave("b");
  assert.deepEqual(admitted, ["c"]);
  assert.deepEqual([places.enter("e"), places.enter("c")], [false, true], "c has its place, and nobody overtakes d");
  places.leave("c");
  places.leave("a");
  assert.deepEqual(admitted, ["c", "d", "e"]);
});

test("Places forgets the wish of one that leaves while it waits", (t) => {
  const { places, admitted } = open(t);
  for (const uid of ["a", "b", "c", "d"]) places.enter(uid);
  places.leave("c");
  places.leave("c");
  assert.deepEqual(admitted, []);
  places.leave("a");
  assert.deepEqual(admitted, ["d"]);
});

test("Places gives the place of one that hangs to the next", async (t) => {
  const { places, admitted } = open(t, 1);
  for (const uid of ["a", "b", "c"]) places.enter(uid);
  await eventually(() => admitted.length === 1, { withinMs: 2_000, everyMs: 1 });
  assert.deepEqual(admitted, ["c"]);
});
