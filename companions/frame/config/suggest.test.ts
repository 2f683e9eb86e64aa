import assert from "node:assert/strict";
import { test } from "node:test";
import { suggest } from "./suggest.ts";

test("suggest() finds what was probably meant, and nothing far away", () => {
  const known = ["listen", "upstream", "verify-full", "passwordFile"];
  const cases = {
    listne: "listen",
    upstrem: "upstream",
    verify_full: "verify-full",
    passwordfile: "passwordFile",
    password_file: "passwordFile",
    x: undefined,
    database: undefined,
  };
  for (const [word, meant] of Object.entries(cases)) assert.equal(suggest(word, known), meant, word);
});
