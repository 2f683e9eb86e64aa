import type { TestContext } from "node:test";
import { Scope } from "@peapod/kit";

/** A scope that closes when the test ends. */
export function scopeOf(t: Pick<TestContext, "after">): Scope {
  const scope = new Scope();
  t.after(() => scope[Symbol.asyncDispose]());
  return scope;
}
