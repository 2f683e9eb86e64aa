import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { test } from "node:test";
import { eventually, Scope } from "@peapod/kit";
import { startAmbassador } from "./ambassador.fixture.ts";
import { formatCancel } from "./client-request.ts";
import { formatMessage } from "./messages.ts";
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

const refusal = formatMessage("E", Buffer.from("SFATAL\0C28P01\0Mno\0\0"));

test("UpstreamSessions logs in once more where the password changed while the old one was refused", async () => {
  await using own = new Scope();
  const passwords: string[] = [];
  let passwordFile = "";
  const port = await startScripted(own, async ({ packet, message, send, wire }) => {
    await packet();
    send(authentication(3));
    const password = (await message()).toString();
    passwords.push(password);
    if (password === "secret\0") await writeFile(passwordFile, "changed\n");
    send(password === "changed\0" ? welcome : refusal);
    wire.end();
    await wire.read(1);
  });
  const ambassador = await startAmbassador(own, { endpoints: [`127.0.0.1:${port}`] }, { weakestAuth: "password" });
  ({ passwordFile } = ambassador);
  assert.deepEqual(await talk(ambassador.port, startupPacket()), welcome);
  assert.deepEqual(passwords, ["secret\0", "changed\0"]);
  await writeFile(passwordFile, "wrong\n");
  assert.equal(parseError(await talk(ambassador.port, startupPacket()))?.sqlState, "28P01");
  assert.deepEqual(passwords.slice(2), ["wrong\0"], "once, where it did not change");
});

test("UpstreamSessions sends a cancel request to the one server that issued the key, however long that is", async () => {
  await using own = new Scope();
  const keys = [Buffer.alloc(8, 1), Buffer.alloc(260, 2)];
  const cancelled: [server: number, key: Buffer][] = [];
  const servers = keys.map((key, index) =>
    startScripted(own, async ({ packet, send, wire }) => {
      const got = await packet();
      if (got.readUInt32BE(0) !== 80877102) {
        send(authentication(0), formatMessage("K", key), ready);
        await wire.read(1); // until the client leaves
      } else cancelled.push([index, got.subarray(4)]);
    }),
  );
  const endpoints = (await Promise.all(servers)).map((port) => `127.0.0.1:${port}`);
  const ambassador = await startAmbassador(own, { endpoints, strategy: "round-robin" }, { weakestAuth: "password" });
  const clients = keys.map(() => connect({ port: ambassador.port, host: "127.0.0.1" }));
  for (const client of clients) {
    client.resume().write(startupPacket());
    await new Promise((resolve) => client.once("data", resolve));
  }
  await ambassador.reload({ endpoints: ["127.0.0.1:1"] }); // what runs goes on, where it was
  for (const key of keys) assert.deepEqual(await talk(ambassador.port, formatCancel(key)), Buffer.alloc(0));
  assert.deepEqual(
    cancelled.map(([server, key]) => [server, key.equals(keys[server] ?? Buffer.alloc(0))]),
    [
      [0, true],
      [1, true],
    ],
  );
  for (const client of clients) client.destroy();
  await eventually(() => ambassador.connections() === 0, { withinMs: 5_000 });
  for (const key of keys) await talk(ambassador.port, formatCancel(key));
  assert.equal(cancelled.length, 2, "nothing once the sessions have ended");
});

test("UpstreamSessions passes on what a server says around the login, in its order and unchanged, and what comes right after", async () => {
  await using own = new Scope();
  const negotiation = formatMessage("v", Buffer.from("000300000000000100", "hex"), Buffer.from("_pq_.x\0"));
  const notices = [1, 2, 3].map((number) => formatMessage("N", Buffer.from(`SNOTICE\0M${number}\0\0`)));
  const [first = ready, second = ready, third = ready] = notices;
  const settings = formatMessage("S", Buffer.from("server_version\0v18\0"));
  const port = await startScripted(own, async ({ packet, message, send, wire }) => {
    await packet();
    send(negotiation, first, authentication(5, Buffer.from("salt")));
    await message();
    send(second, authentication(0), settings, third, formatMessage("K", Buffer.alloc(260, 9)), ready, Buffer.from("and more"));
    wire.end();
    await wire.read(1);
  });
  const ambassador = await startAmbassador(own, { endpoints: [`127.0.0.1:${port}`] }, { weakestAuth: "md5" });
  const expected = [
    negotiation,
    first,
    second,
    authentication(0),
    settings,
    third,
    formatMessage("K", Buffer.alloc(260, 9)),
    ready,
    Buffer.from("and more"),
  ];
  assert.deepEqual(await talk(ambassador.port, startupPacket(2)), Buffer.concat(expected));
});

const checks: {
  does: string;
  settings: Record<string, unknown>;
  script: (connection: Script) => Promise<void>;
  health: string;
  role?: string;
}[] = [
  {
    does: "takes a server for well that asks for a password, where the users are the application's own",
    settings: { login: {} },
    script: async ({ packet, send, message }) => {
      await packet();
      send(offer("SCRAM-SHA-256"));
      await message();
    },
    health: "healthy",
  },
  {
    does: "takes a server for well that lacks a database which nobody named",
    settings: {},
    script: async ({ packet, send, wire }) => {
      await packet();
      send(authentication(0), formatMessage("E", Buffer.from("SFATAL\0C3D000\0Mno such database\0\0")));
      await wire.read(1);
    },
    health: "healthy",
  },
  {
    does: "takes a server for unwell that lacks the configured database",
    settings: { database: "orders" },
    script: async ({ packet, send, wire }) => {
      await packet();
      send(authentication(0), formatMessage("E", Buffer.from("SFATAL\0C3D000\0Mno such database\0\0")));
      await wire.read(1);
    },
    health: "unhealthy",
  },
  {
    does: "asks an older server for its role",
    settings: {},
    script: async ({ packet, send, message }) => {
      await packet();
      send(welcome);
      assert.match((await message()).toString(), /^SHOW transaction_read_only\0$/);
      send(
        formatMessage("T", Buffer.alloc(2)),
        formatMessage("D", Buffer.from("000100000002", "hex"), Buffer.from("on")),
        formatMessage("C", Buffer.from("SHOW\0")),
        ready,
      );
      await message();
    },
    health: "healthy",
    role: "read-only",
  },
];
for (const { does, settings, script, health, role } of checks)
  test(`UpstreamSessions ${does}`, async () => {
    await using own = new Scope();
    const port = await startScripted(own, script);
    const healthCheck = { interval: "300ms", timeout: "300ms", healthyAfter: 1, unhealthyAfter: 1 };
    const upstream = { endpoints: [`127.0.0.1:${port}`], healthCheck, target: "read-only" };
    const ambassador = await startAmbassador(own, upstream, { weakestAuth: "password", ...settings });
    await eventually(() => ambassador.endpoints()[0]?.health === health, { withinMs: 3_000 });
    if (role !== undefined) assert.equal(ambassador.endpoints()[0]?.role, role);
  });
