import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { EngineError, errorCodes } from "./errors.ts";

test("docs/errors.md documents every code, and whether it is retried, and no other", () => {
  const text = readFileSync(new URL("../docs/errors.md", import.meta.url), "utf8");
  const documented = [...text.matchAll(/^\| `([A-Z_]+)` \| (yes|no) \|/gm)].map((row) => `${row[1]} ${row[2]}`);
  assert.deepEqual(
    documented,
    errorCodes.map((code) => `${code} ${new EngineError(code, "").retry ? "yes" : "no"}`),
  );
});
