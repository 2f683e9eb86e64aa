import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Roster } from "./roster.ts";

test("Roster holds what a Set holds, whatever comes and goes", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9)), (turns) => {
      const members = Array.from({ length: 10 }, (_, number) => ({ number, slot: 0 }));
      const [roster, set] = [new Roster<(typeof members)[number]>(), new Set<(typeof members)[number]>()];
      for (const turn of turns) {
        const member = members[turn];
        assert.ok(member !== undefined);
        const isIn = set.delete(member);
        assert.equal(roster.delete(member), isIn);
        if (!isIn) set.add(member);
        if (!isIn) roster.add(member);
        assert.equal(roster.size, set.size);
        assert.deepEqual(new Set(roster), set);
      }
    }),
  );
});

test("Roster gives all it had though they leave while it is gone through", () => {
  const roster = new Roster<{ slot: number }>();
  for (let count = 0; count < 5; count += 1) roster.add({ slot: 0 });
  let seen = 0;
  for (const member of roster) {
    seen += 1;
    assert.ok(roster.delete(member));
  }
  assert.deepEqual([seen, roster.size], [5, 0]);
});
