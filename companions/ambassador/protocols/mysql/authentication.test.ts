import assert from "node:assert/strict";
import { generateKeyPairSync, privateDecrypt } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { AmbassadorError } from "../../errors.ts";
import { Authentication, type AuthenticationParts } from "./authentication.ts";
import { encodeError } from "./error-packet.ts";
import { MalformedPacket } from "./payload.ts";
import { cachingSha2Scramble, nativeScramble } from "./scrambles.ts";

const salt = Buffer.from("abcdefghijklmnopqrst");
const otherSalt = Buffer.from("tsrqponmlkjihgfedcba");
const password = Buffer.from("the right one");
const ended = Buffer.from("the right one\0");
const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const pem = publicKey.export({ type: "spki", format: "pem" }).toString();

const base: AuthenticationParts = { endpoint: "db:3306", password, channel: "plain", serverKey: () => undefined, mayAskForKey: false };

const wantsFull = Buffer.of(1, 4);
const isFast = Buffer.of(1, 3);
const ok = Buffer.from("00000002000000", "hex");

function switchTo(plugin: string, data: Buffer = otherSalt): Buffer {
  return Buffer.concat([Buffer.of(0xfe), Buffer.from(`${plugin}\0`), data, Buffer.alloc(1)]);
}

/** What the client's half says, packet by packet, to a greeting and these packets. */
function replies(plugin: string, packets: readonly Buffer[], given: Partial<AuthenticationParts> = {}): (Buffer | string)[] {
  const authentication = new Authentication({ ...base, ...given });
  const first = authentication.begin(plugin, salt);
  return [
    first.reply,
    ...packets.map((packet) => {
      const answer = authentication.answer(packet);
      return answer.kind === "send" ? answer.payload : answer.kind;
    }),
  ];
}

function decrypted(reply: Buffer | string | undefined, mask: Buffer): string {
  assert.ok(reply instanceof Buffer);
  const hidden = privateDecrypt({ key: privateKey, oaepHash: "sha1" }, reply);
  return Buffer.from(hidden.map((byte, index) => byte ^ (mask[index % mask.length] ?? 0))).toString();
}

const native = nativeScramble(password, salt);
const sha2 = cachingSha2Scramble(password, salt);
const otherSha2 = cachingSha2Scramble(password, otherSalt);

const goodWays: { does: string; plugin: string; packets: Buffer[]; given?: Partial<AuthenticationParts>; want: (Buffer | string)[] }[] = [
  { does: "scrambles for mysql_native_password", plugin: "mysql_native_password", packets: [ok], want: [native, "accepted"] },
  {
    does: "begins with mysql_native_password where the default is unknown",
    plugin: "auth_gssapi_client",
    packets: [switchTo("caching_sha2_password"), isFast, ok],
    want: [native, otherSha2, "wait", "accepted"],
  },
  {
    does: "goes caching_sha2_password's fast way",
    plugin: "caching_sha2_password",
    packets: [isFast, ok],
    want: [sha2, "wait", "accepted"],
  },
  {
    does: "goes caching_sha2_password's full way over TLS with a verified server",
    plugin: "caching_sha2_password",
    packets: [wantsFull, ok],
    given: { channel: "verified", serverKey: () => pem },
    want: [sha2, ended, "accepted"],
  },
  {
    does: "goes the full way that follows a switch",
    plugin: "mysql_native_password",
    packets: [switchTo("caching_sha2_password"), wantsFull, ok],
    given: { channel: "verified" },
    want: [native, otherSha2, ended, "accepted"],
  },
  {
    does: "goes the full way over a UNIX socket",
    plugin: "caching_sha2_password",
    packets: [wantsFull, ok],
    given: { channel: "local" },
    want: [sha2, ended, "accepted"],
  },
  {
    does: "tells sha256_password the password over TLS with a verified server",
    plugin: "mysql_native_password",
    packets: [switchTo("sha256_password"), ok],
    given: { channel: "verified" },
    want: [native, ended, "accepted"],
  },
  {
    does: "goes the full way over TLS with anybody where that is allowed",
    plugin: "caching_sha2_password",
    packets: [wantsFull, ok],
    given: { channel: "encrypted", mayAskForKey: true },
    want: [sha2, ended, "accepted"],
  },
  {
    does: "gives mysql_clear_password to a verified server",
    plugin: "mysql_native_password",
    packets: [switchTo("mysql_clear_password"), ok],
    given: { channel: "verified" },
    want: [native, ended, "accepted"],
  },
  {
    does: "has nothing to scramble without a password",
    plugin: "caching_sha2_password",
    packets: [ok],
    given: { password: Buffer.alloc(0) },
    want: [Buffer.alloc(0), "accepted"],
  },
];
for (const { does, plugin, packets, given, want } of goodWays)
  test(`Authentication ${does}`, () => assert.deepEqual(replies(plugin, packets, given), want));

test("Authentication hides the password with the configured key, for the salt of the switch", () => {
  const packets = [switchTo("caching_sha2_password"), wantsFull, ok];
  const [, , hidden, verdict] = replies("mysql_native_password", packets, { serverKey: () => pem });
  assert.equal(decrypted(hidden, otherSalt), ended.toString());
  assert.equal(verdict, "accepted");
});

test("Authentication asks for the server's key where that is allowed", () => {
  const key = Buffer.concat([Buffer.of(1), Buffer.from(pem)]);
  const sha2Way = replies("caching_sha2_password", [wantsFull, key, ok], { mayAskForKey: true });
  assert.deepEqual(sha2Way[1], Buffer.of(2));
  assert.equal(decrypted(sha2Way[2], salt), ended.toString());
  const oldWay = replies("mysql_native_password", [switchTo("sha256_password"), key, ok], { mayAskForKey: true });
  assert.deepEqual(oldWay[1], Buffer.of(1));
  assert.equal(decrypted(oldWay[2], otherSalt), ended.toString());
});

const [refused, malformed] = [{ code: "LOGIN_REFUSED" }, { name: "MalformedPacket" }];
const elliptic = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ type: "spki", format: "pem" }).toString();
const badWays: { does: string; packets: Buffer[]; given?: Partial<AuthenticationParts>; want: object }[] = [
  { does: "never tells a plain channel the password", packets: [wantsFull], want: refused },
  {
    does: "gives mysql_clear_password to no unverified server",
    packets: [switchTo("mysql_clear_password")],
    given: { channel: "encrypted" },
    want: refused,
  },
  {
    does: "goes the full way with no unverified server, whatever key is configured",
    packets: [wantsFull],
    given: { channel: "encrypted", serverKey: () => pem },
    want: { ...refused, message: /verify-full/ },
  },
  {
    does: "tells no unverified server that has sha256_password the password",
    packets: [switchTo("sha256_password")],
    given: { channel: "encrypted" },
    want: refused,
  },
  { does: "gives mysql_clear_password to no plain channel", packets: [switchTo("mysql_clear_password")], want: refused },
  { does: "refuses auth_gssapi_client", packets: [switchTo("auth_gssapi_client")], given: { channel: "verified" }, want: refused },
  { does: "refuses the scramble of before 4.1", packets: [Buffer.of(0xfe)], want: refused },
  { does: "passes the server's refusal on", packets: [encodeError({ errno: 1045, sqlState: "28000", text: "" }, true)], want: refused },
  {
    does: "knows a busy server from a refusal",
    packets: [encodeError({ errno: 1040, sqlState: "08004", text: "" }, true)],
    want: { code: "UPSTREAM_BUSY" },
  },
  { does: "takes no second verdict", packets: [isFast, isFast], want: malformed },
  {
    does: "takes no request for the password after a good verdict",
    packets: [isFast, wantsFull],
    given: { channel: "verified" },
    want: malformed,
  },
  { does: "takes no key that it did not ask for", packets: [Buffer.from(`\x01${pem}`)], want: malformed },
  {
    does: "takes a key once",
    packets: [wantsFull, Buffer.from(`\x01${pem}`), Buffer.from(`\x01${pem}`)],
    given: { mayAskForKey: true },
    want: malformed,
  },
  {
    does: "takes no key but RSA's",
    packets: [wantsFull, Buffer.from(`\x01${elliptic}`)],
    given: { mayAskForKey: true },
    want: { code: "UPSTREAM_PROTOCOL" },
  },
  {
    does: "takes no key that is none",
    packets: [wantsFull, Buffer.from("\x01key")],
    given: { mayAskForKey: true },
    want: { code: "UPSTREAM_PROTOCOL" },
  },
  { does: "takes no short salt", packets: [switchTo("caching_sha2_password", Buffer.from("short"))], want: malformed },
  { does: "takes no short nonce", packets: [switchTo("client_ed25519", Buffer.from("short"))], want: malformed },
  { does: "does not go round for ever", packets: Array.from({ length: 20 }, () => switchTo("mysql_native_password")), want: malformed },
  { does: "takes no other packet", packets: [Buffer.of(0x42)], want: malformed },
  { does: "takes no empty packet", packets: [Buffer.alloc(0)], want: malformed },
];
for (const { does, packets, given, want } of badWays)
  test(`Authentication ${does}`, () => assert.throws(() => replies("caching_sha2_password", packets, given), want));

test("Authentication answers any packets with an answer or an error of its own, and never shows the password", () => {
  const packet = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom(
      wantsFull,
      isFast,
      ok,
      switchTo("caching_sha2_password"),
      switchTo("sha256_password"),
      switchTo("mysql_clear_password"),
    ),
    fc.constantFrom(switchTo("mysql_native_password"), Buffer.from(`\x01${pem}`), switchTo("\u001b[31m"), switchTo("")),
  );
  const property = (packets: Buffer[], mayAskForKey: boolean): void => {
    try {
      for (const reply of replies("caching_sha2_password", packets, { mayAskForKey }))
        assert.ok(typeof reply === "string" || !reply.includes(password));
    } catch (cause) {
      assert.ok(cause instanceof MalformedPacket || cause instanceof AmbassadorError, String(cause));
      assert.ok(!cause.message.includes("the right one") && !cause.message.includes("\u001b"));
    }
  };
  fc.assert(fc.property(fc.array(packet, { maxLength: 6 }), fc.boolean(), property), { numRuns: 300 });
});
