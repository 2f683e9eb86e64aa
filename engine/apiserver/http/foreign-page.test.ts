import assert from "node:assert/strict";
import { test } from "node:test";
import { ask } from "./asking.fixture.ts";
import type { Exchange } from "./exchange.ts";
import { serving } from "./serving.fixture.ts";

const host = "localhost:6443";
const cases: { from: string; headers: Record<string, string>; code: number }[] = [
  { from: "a program", headers: {}, code: 200 },
  { from: "a program that reaches the server by a name of its own", headers: { Host: "box.example:1" }, code: 200 },
  { from: "a page of the server's own", headers: { Host: host, Origin: `https://${host}`, "Sec-Fetch-Site": "same-origin" }, code: 200 },
  { from: "a page of the server's own, by address", headers: { Host: "[::1]:6443", Origin: "https://[::1]:6443" }, code: 200 },
  { from: "a library that takes its own address for its origin", headers: { Host: host, Origin: `http://${host}` }, code: 200 },
  { from: "a person who types the address", headers: { Host: host, "Sec-Fetch-Site": "none" }, code: 200 },
  { from: "a page of another site", headers: { Host: host, Origin: "https://evil.example" }, code: 403 },
  { from: "a page of another server here", headers: { Host: host, Origin: "https://localhost:8080" }, code: 403 },
  { from: "a page without an origin of its own", headers: { Host: host, Origin: "null" }, code: 403 },
  { from: "an image on a page of another site", headers: { Host: host, "Sec-Fetch-Site": "cross-site" }, code: 403 },
  { from: "a page of a neighbouring site", headers: { Host: host, "Sec-Fetch-Site": "same-site" }, code: 403 },
  { from: "a page that had its own name lead here", headers: { Host: "evil.example:6443", "Sec-Fetch-Site": "same-origin" }, code: 403 },
  { from: "the same, with its origin", headers: { Host: "evil.example:6443", Origin: "https://evil.example:6443" }, code: 403 },
  { from: "a browser that says no host", headers: { Host: "", Origin: "https://localhost" }, code: 403 },
];
test("a request is answered or refused by the page that it comes from", async (context) => {
  const extension = { prefix: "/peapod.dev/v1/", handle: ({ response }: Exchange) => void response.end("{}") };
  await using served = await serving({ extensions: [extension] });
  for (const { from, headers, code } of cases) {
    await context.test(from, async () => {
      const upgrade = { Connection: "Upgrade", Upgrade: "websocket" };
      const exec = "/api/v1/namespaces/default/pods/a/exec?command=sh";
      for (const path of ["/api/v1/secrets", "/peapod.dev/v1/engine"])
        assert.equal((await ask(served, path, { headers })).code, code, path);
      assert.equal((await ask(served, exec, { headers: { ...headers, ...upgrade } })).code, code === 403 ? 403 : 404);
    });
  }
});
