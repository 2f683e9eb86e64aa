import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { test } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { namespaces } from "@peapod/api";
import { eventually } from "@peapod/kit";
import { ask, type Asked } from "./asking.fixture.ts";
import { makeAuthority, makeLeaf } from "../pki/certificates.ts";
import { type Serving, serving } from "./serving.fixture.ts";

const nobody = { cert: "", key: "" };

test("who shows no certificate of the engine's authority hears how the engine is, and nothing else", async () => {
  await using served = await serving();
  const day = { notBefore: new Date(Date.now() - 1_000), notAfter: new Date(Date.now() + 86_400_000) };
  const subject = { commonName: "kubernetes-admin", organization: "system:masters", hosts: [], usage: "client" } as const;
  const others = await makeLeaf(await makeAuthority("peapod", day), subject, day);
  const servers = { cert: served.pki.serverCert, key: served.pki.serverKey };
  for (const cert of [nobody, others, servers]) {
    for (const path of ["/healthz", "/livez", "/readyz", "/livez/ping"]) {
      const { code, body, headers } = await ask(served, path, { cert });
      assert.deepEqual([code, body, headers["x-content-type-options"], headers.connection], [200, "ok", "nosniff", "close"]);
    }
    const body = JSON.stringify({ metadata: { name: "a" } });
    const post: Asked = { method: "POST", headers: { "Content-Type": "application/json" }, body };
    const asked: [string, Asked][] = [
      ["/version", {}],
      ["/api/v1/pods", {}],
      ["/api/v1/namespaces", post],
      ["/peapod.dev/v1/engine", {}],
      ["/readyz/../api/v1/secrets", {}],
      ["/api/v1/namespaces/default/pods/a/exec?command=sh", { headers: { Connection: "Upgrade", Upgrade: "websocket" } }],
    ];
    for (const [path, each] of asked) {
      const answer = await ask(served, path, { ...each, cert });
      assert.deepEqual([path, answer.code, answer.headers.connection], [path, 401, "close"]);
      assert.match(answer.body, /"reason":"Unauthorized"/);
    }
  }
  assert.equal(
    served.ground.api.list(namespaces, {}).items.some(({ metadata }) => metadata.name === "a"),
    false,
  );
});

test("a TLS session that began without a certificate has none when it is resumed", async () => {
  await using served = await serving();
  const { ca, adminCert: cert, adminKey: key } = served.pki;
  for (const [pair, code] of [
    [{}, "401"],
    [{ cert, key }, "200"],
  ] as const) {
    const secure = async (session?: Buffer): Promise<TLSSocket> => {
      const socket = connectTls({ host: "127.0.0.1", port: served.port, ca, ...pair, ...(session === undefined ? {} : { session }) });
      await once(socket, "secureConnect");
      return socket;
    };
    const first = await secure();
    const [ticket] = (await once(first, "session")) as [Buffer];
    first.destroy();
    const second = await secure(ticket);
    assert.ok(second.isSessionReused());
    second.write("GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let said = "";
    for await (const chunk of second) said += String(chunk);
    assert.equal(said.split(" ")[1], code);
  }
});

test("however many connections somebody opens who has no certificate, who has one gets in; the oldest of the others go", async () => {
  await using served = await serving();
  const kept = await known(served);
  const silent: Socket[] = [];
  for (let count = 0; count < 2_000; count += 1) {
    const socket = connectTcp(served.port, "127.0.0.1").on("error", () => {}); // cut off is what it is to be
    silent.push(socket);
    if (count % 100 === 99) await once(socket, "connect");
  }
  await eventually(() => silent.filter(({ destroyed, readyState }) => !destroyed && readyState === "open").length === 512, {
    withinMs: 10_000,
  });
  assert.ok(
    silent.slice(-100).every(({ destroyed }) => !destroyed),
    "One of the newest is gone",
  );
  assert.equal((await ask(served, "/version")).code, 200);
  assert.equal((await ask(served, "/readyz", { cert: nobody })).code, 200);
  kept.write("GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assert.match(String((await once(kept, "data"))[0]), /^HTTP\/1.1 200/);
  for (const socket of [...silent, kept]) socket.destroy();
});

test("hundreds of clients that come at one moment all get in", async () => {
  await using served = await serving();
  const sockets = await Promise.all(Array.from({ length: 250 }, async () => await known(served)));
  for (const socket of sockets) socket.destroy();
});

test("those that are known are not counted with the others, and leave room when they go", async () => {
  await using served = await serving();
  const sockets = await Promise.all(Array.from({ length: 150 }, async () => await known(served)));
  for (const socket of sockets) {
    socket.write("GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert.match(String((await once(socket, "data"))[0]), /^HTTP\/1.1 200/);
    socket.destroy();
  }
});

async function known({ port, pki }: Serving): Promise<TLSSocket> {
  const socket = connectTls({ host: "127.0.0.1", port, ca: pki.ca, cert: pki.adminCert, key: pki.adminKey });
  await once(socket, "secureConnect");
  return socket;
}

test("readyz says what is not well yet, and why to who is known", async () => {
  let problem: string | undefined = "not all is adopted";
  const checks = [
    { name: "adoption", problem: () => problem },
    { name: "other", problem: () => undefined },
  ];
  await using served = await serving({ checks });
  const both = async (path: string): Promise<[number, string, string]> => {
    const [stranger, admin] = await Promise.all([ask(served, path, { cert: nobody }), ask(served, path)]);
    assert.equal(stranger.code, admin.code);
    return [admin.code, stranger.body, admin.body];
  };
  const lines = (why: string): string => `[+]ping ok\n[-]adoption failed: ${why}\n[+]other ok\nreadyz check failed\n`;
  assert.deepEqual(await both("/readyz"), [500, lines("reason withheld"), lines(problem)]);
  assert.deepEqual(await both("/readyz/adoption"), [
    500,
    "internal server error: reason withheld\n",
    `internal server error: ${problem}\n`,
  ]);
  assert.deepEqual(await both("/livez"), [200, "ok", "ok"]);
  const verbose =
    '[+]ping ok\n[+]adoption excluded: ok\n[+]other ok\nwarn: some health checks cannot be excluded: no matches for "x"\nreadyz check passed\n';
  assert.deepEqual(await both("/readyz?verbose&exclude=adoption&exclude=x"), [200, verbose, verbose]);
  assert.equal((await ask(served, "/readyz/nothing")).code, 404);
  assert.equal((await ask(served, "/readyz", { method: "POST" })).code, 405);
  problem = undefined;
  assert.deepEqual(await both("/readyz"), [200, "ok", "ok"]);
  assert.deepEqual(await both("/livez?verbose"), [200, "[+]ping ok\nlivez check passed\n", "[+]ping ok\nlivez check passed\n"]);
});
