import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { eventually, Scope } from "@peapod/kit";
import { type Script, startScripted, startupPacket, welcome } from "../protocols/postgres/scripted-server.fixture.ts";
import { startAmbassador } from "./program.fixture.ts";

const CANCEL = Buffer.from("0000001004d2162e0000002a01020304", "hex"); // CancelRequest with the key of `welcome`

test("a PostgreSQL session from before a reload is cancelled after it, at the server that it runs on", async () => {
  await using scope = new Scope();
  const cancelled: string[] = [];
  const server =
    (name: string) =>
    async ({ packet, send, wire }: Script): Promise<void> => {
      const request = await packet();
      if (request.readUInt32BE(0) === CANCEL.readUInt32BE(4)) return void cancelled.push(name);
      send(welcome);
      await wire.closed;
    };
  const [old, next] = [await startScripted(scope, server("old")), await startScripted(scope, server("next"))];
  const listener = (port: number): object => ({
    name: "db",
    protocol: "postgres",
    listen: "127.0.0.1:0",
    login: { username: "app" },
    upstream: { endpoints: [`127.0.0.1:${port}`], healthCheck: "off" },
  });
  const ambassador = await startAmbassador(scope, { listeners: [listener(old)] });
  const session = connect(ambassador.port("db"), "127.0.0.1");
  scope.defer(() => void session.destroy());
  session.write(startupPacket());
  const [greeting] = (await once(session, "data")) as [Buffer]; // a socket without an encoding
  assert.equal(greeting.toString("latin1", 0, 1), "R", greeting.toString("latin1"));
  await ambassador.configure({ listeners: [listener(next)] });
  await eventually(() => ambassador.lines.some(({ message }) => message === "configuration reloaded"), { withinMs: 5_000 });
  const asking = connect(ambassador.port("db"), "127.0.0.1");
  asking.end(CANCEL);
  await once(asking.resume(), "close");
  await eventually(() => cancelled.length > 0, { withinMs: 5_000 });
  assert.deepEqual(cancelled, ["old"]);
});
