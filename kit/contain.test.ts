import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { contain } from "./contain.ts";

test("contain() gives what a handler throws or rejects with to whoever ends the connection, and to nobody else", async () => {
  const told: unknown[] = [];
  const events = new EventEmitter();
  const rejected = Promise.withResolvers<void>();
  const onBug = (cause: unknown, peer: string): void => {
    told.push([cause, peer]);
    if (told.length === 2) rejected.resolve();
  };
  const thrower = (peer: string): void => {
    throw new Error(`thrown for ${peer}`);
  };
  events.on("data", contain(thrower, onBug));
  events.on(
    "data",
    contain(async (peer: string) => await Promise.reject(new Error(`rejected for ${peer}`)), onBug),
  );
  events.on(
    "data",
    contain((_peer: string) => "well", onBug),
  );
  events.emit("data", "a");
  await rejected.promise;
  assert.deepEqual(told, [
    [new Error("thrown for a"), "a"],
    [new Error("rejected for a"), "a"],
  ]);
});
