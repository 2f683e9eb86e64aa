import { test } from "node:test";
import { containerConfig, withOciRuntime } from "./oci-test-bed.ts";
test("x", async () => {
  await withOciRuntime(async (bed) => {
    const signal = AbortSignal.timeout(40_000);
