import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AddressBook } from "./address-book.ts";
import { parseCidr } from "./cidr.ts";

test("AddressBook.reserve() leaves nothing where the disk does not take it, and gives the same address then", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "peapod-addresses-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const book = new AddressBook(directory, parseCidr("10.9.0.0/29") ?? assert.fail());
  const obstacle = join(directory, "pods", "web.json");
  mkdirSync(obstacle);
  assert.throws(() => book.reserve("web"), /EISDIR/);
  assert.deepEqual(readdirSync(join(directory, "pods")), ["web.json"]);
  rmSync(obstacle, { recursive: true });
  assert.equal(book.reserve("web").ip, "10.9.0.2");
});
