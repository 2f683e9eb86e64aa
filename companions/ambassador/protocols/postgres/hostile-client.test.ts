import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { connect as connectTls } from "node:tls";
import fc from "fast-check";
import { eventually, Scope } from "@peapod/kit";
import { makeAuthority } from "../../../frame/credentials/certificates.fixture.ts";
import { type RunningAmbassador, startAmbassador } from "./ambassador.fixture.ts";
import { formatCancel, formatSslRequest } from "./client-request.ts";
import { parseError, startScripted, startupPacket, talk, welcome } from "./scripted-server.fixture.ts";

const scope = new Scope();
after(async () => await scope[Symbol.asyncDispose]());

let ambassador: RunningAmbassador;
let encrypted: RunningAmbassador;
const startups: Buffer[] = [];
const cancels: Buffer[] = [];
before(async () => {
  const port = await startScripted(scope, async ({ packet, send, wire }) => {
    const got = await packet();
    (got.readUInt32BE(0) >>> 16 === 3 ? startups : cancels).push(got);
    if (startups.includes(got)) send(welcome);
    wire.end();
    await wire.read(1);
  });
  const upstream = { endpoints: [`127.0.0.1:${port}`] };
  ambassador = await startAmbassador(scope, upstream, { weakestAuth: "password", handshakeTimeout: "150ms" });
  const serverTls = await (await makeAuthority(scope)).issue();
  encrypted = await startAmbassador(scope, upstream, { weakestAuth: "password", serverTls, handshakeTimeout: "5s" });
});

const sslRequest = formatSslRequest();
const gssRequest = Buffer.from("0000000804d21630", "hex");

test("postgresProtocol takes a startup packet however it is cut", async () => {
  const whole = startupPacket();
  for (let cut = 0; cut <= whole.length; cut += 1)
    assert.deepEqual(await talk(ambassador.port, whole.subarray(0, cut), whole.subarray(cut)), welcome, `cut at ${cut}`);
});

test("postgresProtocol says no to encryption of both kinds, in either order, and goes on", async () => {
  for (const requests of [[sslRequest], [gssRequest], [sslRequest, gssRequest], [gssRequest, sslRequest]]) {
    const answers = Buffer.from("N".repeat(requests.length));
    assert.deepEqual(await talk(ambassador.port, ...requests, startupPacket()), Buffer.concat([answers, welcome]));
  }
});

test("postgresProtocol tells a client of a version to come which one it speaks", async () => {
  const negotiation = Buffer.from("760000000c0003000200000000", "hex");
  assert.deepEqual(await talk(ambassador.port, startupPacket(9)), Buffer.concat([negotiation, welcome]));
  assert.equal(startups.at(-1)?.readUInt32BE(0), 196610);
});

const refused: { does: string; says: Buffer[] }[] = [
  { does: "asks for TLS twice", says: [sslRequest, sslRequest] },
  { does: "asks for GSS encryption twice", says: [gssRequest, gssRequest] },
  { does: "speaks HTTP", says: [Buffer.from("GET / HTTP/1.1\r\n\r\n")] },
  { does: "speaks TLS that nobody offered", says: [Buffer.from("1603010200010001fc0303", "hex")] },
  { does: "sends a negative length", says: [Buffer.from("ffffffff00030000", "hex")] },
  { does: "sends a length of nothing", says: [Buffer.from("0000000000030000", "hex")] },
  { does: "sends a length of a gigabyte", says: [Buffer.from("4000000000030000", "hex")] },
  { does: "sends a packet too long", says: [Buffer.concat([Buffer.from("0000271500030000", "hex"), Buffer.alloc(10_000, "a")])] },
  { does: "names no user", says: [Buffer.from("000000090003000000", "hex")] },
  { does: "speaks protocol 2", says: [Buffer.from("000000080002000000", "hex")] },
  { does: "cancels with a key too short", says: [Buffer.from("0000000c04d2162e00000001", "hex")] },
  { does: "cancels with a key too long", says: [formatCancel(Buffer.alloc(261))] },
];
for (const { does, says } of refused)
  test(`postgresProtocol says to a client that ${does} what is wrong`, async () => {
    const count = startups.length;
    assert.equal(parseError(await talk(ambassador.port, ...says))?.sqlState, "08P01");
    assert.equal(startups.length, count, "the upstream hears nothing of it");
  });

test("postgresProtocol leaves a client that never says what it wants", async () => {
  for (const says of [Buffer.alloc(0), Buffer.from("00", "hex"), startupPacket().subarray(0, -1), sslRequest]) {
    const heard = await talk(ambassador.port, says);
    assert.deepEqual(heard, says === sslRequest ? Buffer.from("N") : Buffer.alloc(0));
  }
});

test("postgresProtocol answers nothing to a cancel request, and passes it on only for a session that lives", async () => {
  const unknown = formatCancel(Buffer.from("0000002b01020304", "hex"));
  assert.deepEqual(await talk(ambassador.port, unknown), Buffer.alloc(0));
  assert.deepEqual(cancels, []);
});

test("postgresProtocol refuses what was said in the clear between the request for TLS and TLS", async () => {
  const heard = await talk(encrypted.port, Buffer.concat([sslRequest, startupPacket()]));
  assert.equal(parseError(heard)?.sqlState, "08P01");
  assert.match(parseError(heard)?.text ?? "", /before the answer/);
});

test("postgresProtocol refuses TLS at once that does not name PostgreSQL", async () => {
  for (const options of [{}, { ALPNProtocols: ["http/1.1"] }]) {
    const secure = connectTls({ port: encrypted.port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
    let heard = "";
    secure.on("data", (chunk: Buffer) => (heard += chunk.toString("latin1"))).on("error", () => {}); // an alert is a refusal too
    secure.write(startupPacket());
    await new Promise((resolve) => secure.once("close", resolve));
    assert.doesNotMatch(heard, /^R/);
  }
});

test("postgresProtocol survives any bytes of a client, and clients that leave", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), async (bytes) => {
      const socket = connect({ port: ambassador.port, host: "127.0.0.1" });
      socket.on("error", () => {}); // a reset is fine
      socket.end(bytes);
      socket.resume();
      await new Promise((resolve) => socket.once("close", resolve));
    }),
    { numRuns: 60 },
  );
  assert.deepEqual(await talk(ambassador.port, startupPacket()), welcome);
  await eventually(() => ambassador.connections() === 0, { withinMs: 5_000 });
});
