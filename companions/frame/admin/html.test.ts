import assert from "node:assert/strict";
import { test } from "node:test";
import { html } from "./html.ts";

test("html`` escapes what is put in, and joins lists", () => {
  const evil = `<a href="x">&'`;
  assert.equal(html`<p>${evil}${["a", html`<b>`]}${undefined}${1}</p>`.html, "<p>&#60;a href=&#34;x&#34;&#62;&#38;&#39;a<b>1</p>");
});
