import assert from "node:assert/strict";
import { createHmac, pbkdf2Sync } from "node:crypto";
import { test } from "node:test";
import { DerivedKeys } from "./derived-keys.ts";

const password = { text: "pencil", version: 1 };
const salt = Buffer.from("salt");

test("DerivedKeys makes the keys of RFC 5802", async () => {
  const { clientKey, serverKey } = await new DerivedKeys().get(password, salt, 2);
  const salted = pbkdf2Sync("pencil", salt, 2, 32, "sha256");
  assert.deepEqual(clientKey, createHmac("sha256", salted).update("Client Key").digest());
  assert.deepEqual(serverKey, createHmac("sha256", salted).update("Server Key").digest());
});

test("DerivedKeys makes each once, also for those who ask meanwhile", () => {
  const keys = new DerivedKeys();
  const first = keys.get(password, salt, 1);
  assert.equal(keys.get(password, Buffer.from("salt"), 1), first);
  assert.notEqual(keys.get(password, salt, 2), first);
  assert.notEqual(keys.get(password, Buffer.from("pepper"), 1), first);
});

test("DerivedKeys forgets all when the password changes", async () => {
  const keys = new DerivedKeys();
  const old = keys.get(password, salt, 1);
  const fresh = keys.get({ text: "crayon", version: 2 }, salt, 1);
  assert.notDeepEqual(await fresh, await old);
  assert.equal(keys.size, 1);
});

test("DerivedKeys keeps the last used of a server that invents salts", () => {
  const keys = new DerivedKeys();
  const used = keys.get(password, salt, 1);
  for (let index = 0; index < 200; index += 1) {
    void keys.get(password, Buffer.from(`${index}`), 1);
    assert.equal(keys.get(password, salt, 1), used);
  }
  assert.equal(keys.size, 64);
  keys.clear();
  assert.equal(keys.size, 0);
});
