import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { delay } from "@peapod/kit";
import { hasCode } from "../errors.ts";
import { whileRoom } from "./while-room.ts";

const signal = AbortSignal.any([]);
const options = { folder: tmpdir(), doing: 'make "x"', signal };

test("whileRoom() ends what waits on a full disk, and says so", { timeout: 60_000 }, async () => {
  const waits = whileRoom({ ...options, freeBytes: () => 0 }, async (full) => delay(Number.POSITIVE_INFINITY, full));
  await assert.rejects(
    waits,
    (error) => hasCode(error, "IMAGE_PULL_FAILED") && /Cannot make "x": the disk of .* is full; free/.test(error.message),
  );
});

test("whileRoom() leaves alone what has room again, and gives what comes and what fails", { timeout: 60_000 }, async () => {
  let looks = 0;
  const freeBytes = (): number => ((looks += 1) % 2 === 0 ? 1e9 : 0);
  const busy = whileRoom({ ...options, freeBytes }, async (full) => {
    while (looks < 14) await delay(50, full);
    return "done";
  });
  assert.equal(await busy, "done");
  await assert.rejects(
    whileRoom(options, async () => Promise.reject(new Error("of its own"))),
    /of its own/,
  );
});
