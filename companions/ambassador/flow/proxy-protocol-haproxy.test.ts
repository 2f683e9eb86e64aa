import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { dialUpstream } from "../upstream/dial-upstream.ts";
import { listen } from "./listen.ts";
import { listenOnLoopback, loopback, tcp } from "./pair.fixture.ts";
import type { Ends } from "./proxy-protocol.ts";
import type { Wire } from "./wire.ts";

const never = new AbortController().signal;

for (const [version, directive, ends] of [
  ["v1", "send-proxy-v2", { client: { address: "192.0.2.1", port: 4711 }, local: { address: "192.0.2.2", port: 5432 } }],
  ["v2", "send-proxy", { client: { address: "2001:db8::1", port: 4711 }, local: { address: "2001:db8::2", port: 5432 } }],
  ["v2", "send-proxy-v2", { client: { address: "192.0.2.1", port: 65_535 }, local: { address: "2001:db8::2", port: 1 } }],
] as const)
  test(`HAProxy reads the PROXY ${version} header of dialUpstream(), and listen() reads that of HAProxy's ${directive}`, async () => {
    await using stack = new AsyncDisposableStack();
    const accepted = Promise.withResolvers<{ client: Wire; ends: Ends }>();
    const listening = await listen(
      { listen: loopback, socketMode: 0o600, acceptProxyProtocol: true, handshakeMs: 5_000 },
      {
        kind: "wire",
        onConnection: (client, told) => accepted.resolve({ client, ends: told }),
        onRefused: accepted.reject,
      },
    );
    stack.defer(() => listening.close());
    const address = await startHaproxy(stack, tcp(listening.address).port, directive);
    const target = { endpoint: "haproxy", address, host: "127.0.0.1" };
    // HAProxy may not listen yet.
    const wire = await eventually(() => dialUpstream(target, { keepAliveMs: undefined, sendProxyProtocol: version }, ends, never), {
      withinMs: 5_000,
    });
    stack.defer(() => wire.destroy());
    wire.write(Buffer.from("hello"));
    const { client, ends: told } = await accepted.promise;
    stack.defer(() => client.destroy());
    assert.deepEqual(told.client.port, ends.client.port);
    assert.equal(told.client.address.replace("::ffff:", ""), ends.client.address);
    assert.deepEqual(told.local, ends.local);
    assert.equal(String(await client.read(5)), "hello");
  });

async function startHaproxy(stack: AsyncDisposableStack, serverPort: number, directive: string) {
  const folder = await mkdtemp(join(tmpdir(), "ambassador-haproxy-"));
  stack.defer(() => rm(folder, { recursive: true }));
  const place = createServer();
  const address = await listenOnLoopback(place);
  place.close();
  const path = join(folder, "haproxy.cfg");
  const timeouts = "  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n";
  const section = `listen l\n  bind 127.0.0.1:${address.port} accept-proxy\n  server s 127.0.0.1:${serverPort} ${directive}\n`;
  await writeFile(path, `global\n  nbthread 1\n  maxconn 50\ndefaults\n  mode tcp\n${timeouts}${section}`);
  const haproxy = spawn("haproxy", ["-db", "-f", path], { stdio: "ignore" });
  const exit = once(haproxy, "exit");
  stack.defer(async () => {
    haproxy.kill("SIGKILL");
    await exit;
  });
  return address;
}
