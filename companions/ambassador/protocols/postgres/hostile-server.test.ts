import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { createSecureContext } from "node:tls";
import fc from "fast-check";
import { Scope } from "@peapod/kit";
import { makeAuthority, type TestAuthority } from "../../../frame/credentials/certificates.fixture.ts";
import { type Settings, startAmbassador } from "./ambassador.fixture.ts";
import { cString, formatMessage } from "./messages.ts";
import {
  authentication,
  offer,
  parseError,
  ready,
  type Script,
  startScripted,
  startupPacket,
  talk,
  welcome,
} from "./scripted-server.fixture.ts";

const scope = new Scope();
after(async () => await scope[Symbol.asyncDispose]());

let authority: TestAuthority;
before(async () => {
  authority = await makeAuthority(scope);
});

/** What the client hears, and all that the server got to read, in the clear or decrypted. */
async function meet(
  script: (connection: Script) => Promise<void>,
  { upstream = {}, settings = {} }: { upstream?: Settings; settings?: Settings } = {},
): Promise<{ sqlState: string; text: string; got: Buffer; log: string }> {
  await using own = new Scope();
  const got: Buffer[] = [];
  const port = await startScripted(own, async (connection) => {
    connection.socket.on("data", (chunk: Buffer) => got.push(Buffer.from(chunk)));
    await script(connection);
  });
  const ambassador = await startAmbassador(own, { endpoints: [`localhost:${port}`], ...upstream }, settings);
  const error = parseError(await talk(ambassador.port, startupPacket()));
  return { sqlState: error?.sqlState ?? "", text: error?.text ?? "", got: Buffer.concat(got), log: ambassador.log() };
}

const started =
  (...answers: readonly Uint8Array[]) =>
  async ({ packet, message, send }: Script): Promise<void> => {
    await packet();
    for (const answer of answers) {
      send(answer);
      await message();
    }
  };

const SASL = offer("SCRAM-SHA-256");
const serverFirst =
  (connection: Script, iterations = 4096) =>
  async (): Promise<void> => {
    const nonce = /r=(.*)$/.exec((await connection.message()).toString())?.[1] ?? "";
    connection.send(authentication(11, Buffer.from(`r=${nonce}server,s=c2FsdA==,i=${iterations}`)));
  };

const beforeTls: { does: string; answer: string; mode: string; sqlState: string; text: RegExp }[] = [
  {
    does: "plain text after its yes to TLS",
    answer: `S${welcome.toString("latin1")}`,
    mode: "require",
    sqlState: "08001",
    text: /plain text before TLS/,
  },
  { does: "a byte more than its no to TLS", answer: "NN", mode: "require", sqlState: "08001", text: /plain text before TLS/ },
  { does: "no to TLS", answer: "N", mode: "verify-full", sqlState: "08001", text: /does not speak TLS/ },
  { does: "an error in place of an answer", answer: "E", mode: "verify-full", sqlState: "08006", text: /yes or no/ },
  { does: "nothing", answer: "", mode: "verify-full", sqlState: "08006", text: /ended the connection/ },
];
for (const { does, answer, mode, sqlState, text } of beforeTls)
  test(`postgresProtocol tells a server nothing that says ${does}`, async () => {
    const met = await meet(
      async ({ packet, message, send }) => {
        await packet();
        send(Buffer.from(answer, "latin1"));
        if (answer !== "") await message();
      },
      { upstream: { tls: { mode } } },
    );
    assert.equal(met.sqlState, sqlState);
    assert.match(met.text, text);
    assert.equal(met.got.length, 8, "the request for TLS, and no more");
  });

const strangers: { does: string; mode: string; issuer: "known" | "unknown"; names: string; days?: number }[] = [
  { does: "of an unknown authority", mode: "verify-ca", issuer: "unknown", names: "DNS:localhost" },
  { does: "of another name", mode: "verify-full", issuer: "known", names: "DNS:elsewhere" },
  { does: "that has run out", mode: "verify-full", issuer: "known", names: "DNS:localhost", days: -1 },
];
for (const { does, mode, issuer, names, days = 1 } of strangers)
  test(`postgresProtocol tells a server with a certificate ${does} nothing in the mode ${mode}`, async () => {
    await using own = new Scope();
    const signer = issuer === "known" ? authority : await makeAuthority(own);
    const { certFile, keyFile } = await signer.issue({ name: "stranger", names, days });
    const secureContext = createSecureContext({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
    const decrypted: Buffer[] = [];
    const met = await meet(
      async ({ wire, packet, send }) => {
        await packet();
        send(Buffer.from("S"));
        const secure = await wire.acceptTls(secureContext, { requestCert: false }).catch(() => undefined); // refused, as it must be
        secure?.on("data", (chunk: Buffer) => decrypted.push(chunk));
        if (secure !== undefined) await wire.read(1);
      },
      { upstream: { tls: { mode, caFile: authority.caFile } } },
    );
    assert.equal(met.sqlState, "08001");
    assert.match(met.text, /Cannot speak TLS with localhost/);
    assert.deepEqual(decrypted, []);
  });

const questions: { does: string; asks: Buffer; settings?: Settings; sqlState: string; text: RegExp }[] = [
  {
    does: "the password, unverified",
    asks: authentication(3),
    sqlState: "08001",
    text: /asks for password, and the configuration allows nothing weaker than scram-sha-256/,
  },
  { does: "MD5, unverified", asks: authentication(5, Buffer.from("salt")), sqlState: "08001", text: /asks for md5, and/ },
  {
    does: "the password where MD5 is the weakest",
    asks: authentication(3),
    settings: { weakestAuth: "md5" },
    sqlState: "08001",
    text: /nothing weaker than md5/,
  },
  {
    does: "a binding to TLS without it",
    asks: offer("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"),
    sqlState: "08001",
    text: /bind the login to TLS/,
  },
  { does: "a token", asks: offer("OAUTHBEARER"), sqlState: "28P01", text: /offers only OAUTHBEARER/ },
  { does: "no mechanism", asks: offer(), sqlState: "28P01", text: /offers only no method/ },
  { does: "Kerberos", asks: authentication(7), sqlState: "28P01", text: /asks for GSSAPI/ },
  { does: "Windows' login", asks: authentication(9), sqlState: "28P01", text: /asks for SSPI/ },
  { does: "something new", asks: authentication(99), sqlState: "28P01", text: /unknown method \(99\)/ },
];
for (const { does, asks, settings = {}, sqlState, text } of questions)
  test(`postgresProtocol does not answer a server that asks for ${does}`, async () => {
    const met = await meet(started(asks), { settings });
    assert.equal(met.sqlState, sqlState);
    assert.match(met.text, text);
    assert.equal(met.got.length, met.got.readUInt32BE(0), "the startup packet, and no more");
    assert.doesNotMatch(met.got.toString() + met.text + met.log, /secret/);
  });

const impostors: { does: string; sqlState: string; text: RegExp; script: (connection: Script) => Promise<void> }[] = [
  {
    does: "lets it in without a question, unverified",
    sqlState: "08001",
    text: /nothing weaker than scram-sha-256/,
    script: started(welcome),
  },
  {
    does: "lets it in before SCRAM began",
    sqlState: "08001",
    text: /before it proved to know the password/,
    script: started(SASL, welcome),
  },
  {
    does: "lets it in without a signature",
    sqlState: "08001",
    text: /before it proved to know the password/,
    script: async (connection) => {
      await started(SASL)({ ...connection, message: serverFirst(connection) as () => Promise<never> });
      await connection.message();
      connection.send(welcome);
      await connection.message();
    },
  },
  {
    does: "has a wrong signature",
    sqlState: "08001",
    text: /signature is wrong/,
    script: async (connection) => {
      await started(SASL)({ ...connection, message: serverFirst(connection) as () => Promise<never> });
      await connection.message();
      connection.send(authentication(12, Buffer.from(`v=${Buffer.alloc(32).toString("base64")}`)), welcome);
      await connection.message();
    },
  },
  {
    does: "wants a million iterations",
    sqlState: "08001",
    text: /more than 600000 SCRAM iterations/,
    script: async (connection) => {
      await started(SASL)({ ...connection, message: serverFirst(connection, 1_000_000) as () => Promise<never> });
      await connection.message();
    },
  },
  { does: "asks twice", sqlState: "08006", text: /second proof/, script: started(authentication(3), authentication(3)) },
];
for (const { does, sqlState, text, script } of impostors)
  test(`postgresProtocol leaves a server that ${does}`, async () => {
    const met = await meet(script, { settings: does === "asks twice" ? { weakestAuth: "password" } : {} });
    assert.equal(met.sqlState, sqlState);
    assert.match(met.text, text);
    if (sqlState === "08001") assert.doesNotMatch(met.got.toString(), /secret/);
  });

const nonsense: { does: string; says: Buffer; text: RegExp }[] = [
  { does: "a message of two gigabytes", says: Buffer.from("527fffffff", "hex"), text: /2147483647 bytes/ },
  { does: "a message of a negative length", says: Buffer.from("53ffffffff", "hex"), text: /4294967295 bytes/ },
  {
    does: "settings without end",
    says: repeat(formatMessage("S", cString("a"), cString("b".repeat(20_000))), 20),
    text: /before the login was done/,
  },
  { does: "notices without end", says: repeat(formatMessage("N", Buffer.alloc(20_000)), 20), text: /more than 262144 bytes/ },
  {
    does: "settings without end after the login",
    says: Buffer.concat([authentication(0), repeat(formatMessage("S", cString("a"), cString("b".repeat(20_000))), 20)]),
    text: /more than 262144 bytes/,
  },
  {
    does: "rows before it is ready",
    says: Buffer.concat([authentication(0), formatMessage("D", Buffer.alloc(2)), ready]),
    text: /message "D" before it was ready/,
  },
  { does: "another protocol", says: Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"), text: /message "H" of/ },
];
for (const { does, says, text } of nonsense)
  test(`postgresProtocol leaves a server that says ${does}`, async () => {
    const met = await meet(started(says), { settings: { weakestAuth: "password" } });
    assert.equal(met.sqlState, "08006");
    assert.match(met.text, text);
  });

test("postgresProtocol does not tell its client the name that it logs in with, whatever the server says of it", async () => {
  const limit = formatMessage("E", cString("SFATAL"), cString("C53300"), cString('Mtoo many connections for role "app"'), Buffer.of(0));
  const met = await meet(started(limit));
  assert.equal(met.sqlState, "53300");
  assert.match(met.text, /refused the connection \(SQLSTATE 53300\)/);
  assert.doesNotMatch(met.text, /app/);
  const database = formatMessage("E", cString("SFATAL"), cString("C3D000"), cString('Mdatabase "app" does not exist'), Buffer.of(0));
  assert.match((await meet(started(database))).text, /database "app" does not exist/);
});

test("postgresProtocol leaves a server that says nothing, when its time is over", async () => {
  const met = await meet(started(Buffer.alloc(0)), { upstream: { connectTimeout: "100ms" } });
  assert.equal(met.sqlState, "08006");
  assert.match(met.text, /took longer than 100 ms/);
});

test("postgresProtocol tells its client of any bytes of a server, and goes on", async () => {
  await using own = new Scope();
  let says = Buffer.alloc(0);
  const port = await startScripted(own, async ({ packet, send, wire }) => {
    await packet();
    send(says);
    wire.end();
    await wire.read(1);
  });
  const ambassador = await startAmbassador(own, { endpoints: [`127.0.0.1:${port}`] }, { weakestAuth: "password" });
  const near = fc.array(
    fc.constantFrom("R", "S", "K", "Z", "E", "N", "v", "\0\0\0\u0008", "\0\0\0\u0004", "\0\0\0\0", "\0\0\0\u000a", "I"),
    {
      maxLength: 12,
    },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        near.map((parts) => Buffer.from(parts.join(""), "latin1")),
        fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
      ),
      async (bytes) => {
        says = bytes;
        const heard = await talk(ambassador.port, startupPacket());
        assert.ok(heard[0] === 0x45 || heard[0] === 0x52 || heard[0] === 0x76 || heard[0] === 0x4e, heard.toString("latin1"));
      },
    ),
    { numRuns: 60 },
  );
  for (let length = 0; length < welcome.length; length += 1) {
    says = welcome.subarray(0, length);
    assert.equal(parseError(await talk(ambassador.port, startupPacket()))?.sqlState, "08006", `cut at ${length}`);
  }
});

function repeat(message: Buffer, times: number): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => message));
}
