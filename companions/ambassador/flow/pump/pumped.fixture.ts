import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import type { TestContext } from "node:test";
import { eventually } from "@peapod/kit";
import { type Pair, startPairs } from "../pair.fixture.ts";
import type { Splice } from "../splice.ts";
import { pump } from "./pump.ts";

/** Both sides of a connection that has said so much that the pump took it over; what was said is 1 byte each way, `said` times. */
export interface Pumped extends Pair {
  readonly said: number;
}

export async function pumped(context: TestContext, taps?: Splice): Promise<Pumped> {
  const stack = new AsyncDisposableStack();
  context.after(() => stack.disposeAsync());
  await untilEmpty();
  return await intoPump(await (await startPairs(stack, taps))());
}

/** What ended before may be on its way back yet. */
export async function untilEmpty(): Promise<void> {
  await eventually(() => assert.equal(pump.size, 0), { withinMs: 5_000 });
}

export async function intoPump(pair: Pair): Promise<Pumped> {
  const before = pump.size;
  let said = 0;
  await eventually(
    async () => {
      for (let turn = 0; turn < 40; turn += 1, said += 1) {
        pair.client.write("?");
        await oneByte(pair.server);
        pair.server.write("!");
        await oneByte(pair.client);
      }
      assert.ok(pump.size > before);
    },
    { withinMs: 10_000, everyMs: 5 },
  );
  return { ...pair, said };
}

export async function oneByte(socket: Socket): Promise<void> {
  socket.resume();
  await once(socket, "data");
  socket.pause();
}
