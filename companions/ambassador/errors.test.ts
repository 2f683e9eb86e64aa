import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { AmbassadorError, errorCodes, isRetryable } from "./errors.ts";

test("docs/ambassador-errors.md documents every code, and whether it is retried, and no other", () => {
  const text = readFileSync(new URL("../../docs/ambassador-errors.md", import.meta.url), "utf8");
  const documented = [...text.matchAll(/^\| `([A-Z_]+)` \| (yes|no) \|/gm)].map((row) => `${row[1]} ${row[2]}`);
  assert.deepEqual(
    documented,
    errorCodes.map((code) => `${code} ${isRetryable(new AmbassadorError(code, "")) ? "yes" : "no"}`),
  );
});
