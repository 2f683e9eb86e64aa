import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, privateDecrypt, sign } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { mysql2Part } from "./mysql2-part.fixture.ts";
import { signEd25519 } from "./ed25519.ts";
import { cachingSha2Scramble, encryptPassword, nativeScramble } from "./scrambles.ts";

const auth41 = mysql2Part("lib/auth_41.js") as { calculateToken(password: string, salt1: Buffer, salt2: Buffer): Buffer };
const sha2 = mysql2Part("lib/auth_plugins/caching_sha2_password.js") as { calculateToken(password: string, salt: Buffer): Buffer };

const passwords = fc.string({ minLength: 1, unit: "grapheme" });
const bytes = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array));

test("nativeScramble() agrees with mysql2's", () => {
  const agree = (password: string, salt: Buffer): void =>
    assert.deepEqual(nativeScramble(Buffer.from(password), salt), auth41.calculateToken(password, salt.subarray(0, 8), salt.subarray(8)));
  fc.assert(fc.property(passwords, bytes(20), agree));
});

test("cachingSha2Scramble() agrees with mysql2's", () => {
  const agree = (password: string, salt: Buffer): void =>
    assert.deepEqual(cachingSha2Scramble(Buffer.from(password), salt), sha2.calculateToken(password, salt));
  fc.assert(fc.property(passwords, bytes(20), agree));
});

test("nativeScramble(), cachingSha2Scramble() and signEd25519() are empty for an empty password", () => {
  for (const scramble of [nativeScramble, cachingSha2Scramble, signEd25519])
    assert.equal(scramble(Buffer.alloc(0), Buffer.alloc(32, 1)).length, 0);
});

test("encryptPassword() can be undone by the server alone, and ends with a NUL", () => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const salt = Buffer.from("abcdefghijklmnopqrst");
  const password = Buffer.from("a password longer than the salt is, with an ü");
  const hidden = privateDecrypt({ key: privateKey, oaepHash: "sha1" }, encryptPassword(password, salt, publicKey));
  const plain = Buffer.from(hidden.map((byte, index) => byte ^ (salt[index % salt.length] ?? 0)));
  assert.deepEqual(plain, Buffer.concat([password, Buffer.alloc(1)]));
  assert.throws(() => encryptPassword(Buffer.alloc(214, 1), salt, publicKey));
});

test("signEd25519() is RFC 8032's signature where the password is as long as a seed", () => {
  const agree = (seed: Buffer, nonce: Buffer): void => {
    const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
    const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    assert.deepEqual(signEd25519(seed, nonce), sign(null, nonce, key));
  };
  fc.assert(fc.property(bytes(32), bytes(32), agree), { numRuns: 20 });
});
