import assert from "node:assert/strict";
import { test } from "node:test";
import { saslprepPassword } from "./saslprep.ts";

// RFC 4013, section 3, and what PostgreSQL does where the profile forbids.
const cases: { does: string; password: string; want: string }[] = [
  { does: "leaves ASCII alone", password: "user ~!", want: "user ~!" },
  { does: "leaves out what is mapped to nothing", password: "I\u00adX", want: "IX" },
  { does: "makes one space of the others", password: "a\u00a0b\u3000c", want: "a b c" },
  { does: "normalizes", password: "\u00aa\u2168", want: "aIX" },
  { does: "composes", password: "e\u0301", want: "\u00e9" },
  { does: "leaves a control character alone, and all with it", password: "\u00aa\u0007", want: "\u00aa\u0007" },
  { does: "leaves mixed directions alone", password: "\u0627\u00aa1", want: "\u0627\u00aa1" },
  { does: "leaves alone what Unicode 3.2 did not know", password: "\u2460\u{1f600}", want: "\u2460\u{1f600}" },
];
for (const { does, password, want } of cases)
  test(`saslprepPassword() ${does}`, async () => {
    assert.equal(await saslprepPassword(password), want);
  });
