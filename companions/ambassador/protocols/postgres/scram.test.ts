import assert from "node:assert/strict";
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { type ChannelBinding, ScramExchange, type ScramKeys } from "./scram.ts";

// RFC 7677, section 3, but for the user's name, which PostgreSQL takes from elsewhere.
const NONCE = "rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const SALT = "W22ZaJ0SNY7soEsUEjb6gQ==";

async function keysFor(password: string, salt: Buffer, iterations: number): Promise<ScramKeys> {
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const key = (name: string): Buffer => createHmac("sha256", salted).update(name).digest();
  return { clientKey: key("Client Key"), serverKey: key("Server Key") };
}

/** What a server that knows the password answers, by RFC 5802. */
async function serve(password: string, { first, final }: { first: string; final: string }, serverFirst: string): Promise<string> {
  const [, withoutProof = "", proof = ""] = /^(.*),p=(.*)$/.exec(final) ?? [];
  const [, salt = "", iterations = "1"] = /,s=([^,]+),i=(\d+)/.exec(serverFirst) ?? [];
  const { clientKey, serverKey } = await keysFor(password, Buffer.from(salt, "base64"), Number(iterations));
  const authMessage = `${first.replace(/^[^,]*,[^,]*,/, "")},${serverFirst},${withoutProof}`;
  const stored = createHash("sha256").update(clientKey).digest();
  const signature = createHmac("sha256", stored).update(authMessage).digest();
  const shown = Buffer.from(proof, "base64").map((byte, index) => byte ^ (signature[index] ?? 0));
  assert.deepEqual(createHash("sha256").update(shown).digest(), stored, "the proof is right");
  return `v=${createHmac("sha256", serverKey).update(authMessage).digest("base64")}`;
}

const derive = (salt: Buffer, iterations: number): Promise<ScramKeys> => keysFor("pencil", salt, iterations);
const untouched = (): Promise<ScramKeys> => assert.fail("nothing is to be computed");
const serverFirst = `r=${SERVER_NONCE},s=${SALT},i=4096`;

const bindings: { binding: ChannelBinding; header: string; bound: string }[] = [
  { binding: { kind: "none" }, header: "n,,", bound: "biws" },
  { binding: { kind: "not-offered" }, header: "y,,", bound: "eSws" },
  {
    binding: { kind: "tls-server-end-point", data: Buffer.from("hash") },
    header: "p=tls-server-end-point,,",
    bound: Buffer.from("p=tls-server-end-point,,hash").toString("base64"),
  },
];
for (const { binding, header, bound } of bindings)
  test(`ScramExchange proves the password, bound to the channel by "${header}"`, async () => {
    const exchange = new ScramExchange(binding, NONCE);
    assert.equal(exchange.clientFirst, `${header}n=,r=${NONCE}`);
    const final = await exchange.clientFinal(serverFirst, derive);
    assert.ok(final.startsWith(`c=${bound},r=${SERVER_NONCE},p=`));
    exchange.verify(await serve("pencil", { first: exchange.clientFirst, final }, serverFirst));
  });

test("ScramExchange makes a new nonce each time", () => {
  const nonces = new Set(Array.from({ length: 100 }, () => new ScramExchange({ kind: "none" }).clientFirst));
  assert.equal(nonces.size, 100);
});

const refused: { does: string; first: string; code: string }[] = [
  { does: "a nonce that is not ours", first: `r=x${SERVER_NONCE},s=${SALT},i=4096`, code: "UPSTREAM_UNTRUSTED" },
  { does: "a nonce that is only ours", first: `r=${NONCE},s=${SALT},i=4096`, code: "UPSTREAM_UNTRUSTED" },
  { does: "a million iterations", first: `r=${SERVER_NONCE},s=${SALT},i=1000000`, code: "UPSTREAM_UNTRUSTED" },
  { does: "ten digits of iterations", first: `r=${SERVER_NONCE},s=${SALT},i=4294967297`, code: "UPSTREAM_UNTRUSTED" },
  { does: "no iterations", first: `r=${SERVER_NONCE},s=${SALT},i=0`, code: "UPSTREAM_PROTOCOL" },
  { does: "negative iterations", first: `r=${SERVER_NONCE},s=${SALT},i=-1`, code: "UPSTREAM_PROTOCOL" },
  { does: "no salt", first: `r=${SERVER_NONCE},s=,i=4096`, code: "UPSTREAM_PROTOCOL" },
  { does: "an extension that must be known", first: `m=x,${serverFirst}`, code: "UPSTREAM_PROTOCOL" },
  { does: "an error in its place", first: "e=other-error", code: "UPSTREAM_PROTOCOL" },
  { does: "nothing", first: "", code: "UPSTREAM_PROTOCOL" },
];
for (const { does, first, code } of refused)
  test(`ScramExchange refuses ${does}, and computes nothing`, async () => {
    await assert.rejects(new ScramExchange({ kind: "none" }, NONCE).clientFinal(first, untouched), { code });
  });

test("ScramExchange refuses every signature but the right one", async () => {
  const exchange = new ScramExchange({ kind: "none" }, NONCE);
  assert.throws(() => exchange.verify("v="), { code: "UPSTREAM_UNTRUSTED" }, "before there is one");
  const final = await exchange.clientFinal(serverFirst, derive);
  const right = await serve("pencil", { first: exchange.clientFirst, final }, serverFirst);
  const wrong = [
    "",
    "v=",
    "v=AAAA",
    `e=invalid-proof`,
    right.slice(0, -4),
    right.replace(/^v=./, (text) => (text === "v=A" ? "v=B" : "v=A")),
  ];
  for (const text of wrong) assert.throws(() => exchange.verify(text), { code: "UPSTREAM_UNTRUSTED" }, text);
  exchange.verify(`${right},x=an extension`);
});

test("ScramExchange answers any text of a server with a refusal or a proof", async () => {
  const near = fc.array(fc.constantFrom("r=", NONCE, "s=", SALT, "i=", "1", "0", ",", "=", "m=", "\0", "é"), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        near.map((parts) => parts.join("")),
        fc.string({ unit: "binary" }),
      ),
      async (text) => {
        const exchange = new ScramExchange({ kind: "none" }, NONCE);
        const keys = async (): Promise<ScramKeys> => ({ clientKey: Buffer.alloc(32), serverKey: Buffer.alloc(32) });
        const code = await exchange.clientFinal(text, keys).then(
          () => "proof",
          (error: { code: string }) => error.code,
        );
        assert.ok(["proof", "UPSTREAM_PROTOCOL", "UPSTREAM_UNTRUSTED"].includes(code), code);
        assert.throws(() => exchange.verify(text), { code: "UPSTREAM_UNTRUSTED" });
      },
    ),
  );
});
