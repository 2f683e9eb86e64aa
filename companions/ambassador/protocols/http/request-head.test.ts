import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isFieldName, isFieldValue, lower } from "./fields.ts";
import { RequestRefused } from "./problem.ts";
import { planRequest, upgradeOf } from "./request-head.ts";
import { planResponse } from "./response-head.ts";
import { makeHostOf, sentFields } from "./sent-fields.ts";

const isOwned = (name: string): boolean => name === "authorization";
const head = { method: "GET", url: "/", httpVersion: "1.1", rawHeaders: ["Host", "a"] };

for (const [url, path, authority] of [
  ["/a//b?c=http://d", "/a//b?c=http://d", "a"],
  ["http://x:1", "/", "x:1"],
  ["HTTPS://x?q", "/?q", "x"],
  ["http://[::1]:80/p", "/p", "[::1]:80"],
] as const)
  test(`planRequest() sends ${url} as ${path}`, () => {
    const plan = planRequest({ ...head, url }, isOwned);
    assert.deepEqual([plan.path, plan.authority], [path, authority]);
  });

test("planRequest() refuses or gives fields of which none frames, routes or logs in but as it says", () => {
  const name = fc.constantFrom(
    "Host",
    "Connection",
    "connection",
    "Content-Length",
    "Transfer-Encoding",
    "TE",
    "Upgrade",
    "Authorization",
    "X-A",
    "Trailer",
  );
  const value = fc.constantFrom(
    "a",
    "3",
    "0",
    "chunked",
    "close, x-a",
    "upgrade, te",
    "trailers",
    "h2c",
    "websocket",
    "authorization",
    "\tchunked",
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 8 }), fc.constantFrom("GET", "POST", "PUT"), (pairs, method) => {
      try {
        const plan = planRequest({ ...head, method, rawHeaders: pairs.flat() }, isOwned);
        const sent = sentFields(plan, "upstream", ["Authorization", "ours"]);
        const names = sent.filter((_, index) => index % 2 === 0).map(lower);
        const count = (wanted: string): number => names.filter((found) => found === wanted).length;
        assert.equal(count("host"), 1);
        assert.equal(count("connection"), 1);
        assert.equal(count("authorization"), 1);
        assert.equal(count("transfer-encoding"), plan.body === "chunked" ? 1 : 0);
        assert.ok(count("content-length") <= (plan.body === "chunked" ? 0 : 1));
        assert.equal(count("upgrade"), plan.upgrade === undefined ? 0 : 1);
        const upgrades = sent.filter((_, index) => index % 2 === 1 && lower(sent[index - 1] ?? "") === "upgrade");
        assert.ok(!upgrades.includes("h2c") && (plan.body === "chunked" || count("trailer") === 0));
      } catch (cause) {
        assert.ok(cause instanceof RequestRefused, String(cause));
      }
    }),
  );
});

test("upgradeOf() asks for no HTTP/2, and for nothing with a body or in HTTP/1.0", () => {
  const asking = { ...head, rawHeaders: ["Connection", "keep-alive, Upgrade", "Upgrade", "h2c, websocket"] };
  assert.equal(upgradeOf(asking), "websocket");
  assert.equal(upgradeOf({ ...asking, httpVersion: "1.0" }), undefined);
  assert.equal(upgradeOf({ ...asking, rawHeaders: [...asking.rawHeaders, "Content-Length", "1"] }), undefined);
  assert.equal(upgradeOf({ ...asking, rawHeaders: ["Upgrade", "websocket"] }), undefined);
});

test("planResponse() passes no field of the connection, and trailers only where they can follow", () => {
  const answer = {
    statusCode: 200,
    statusMessage: "\u0001",
    rawHeaders: ["Connection", "x-a", "X-A", "1", "Trailer", "T", "Proxy-Foo", "1", "Date", "d"],
  };
  const planned = planResponse(answer, { method: "GET", httpVersion: "1.1" });
  assert.deepEqual(planned, { status: 200, message: "", fields: ["Trailer", "T", "Date", "d"], isChunked: true });
  assert.deepEqual(planResponse(answer, { method: "GET", httpVersion: "1.0" }).fields, ["Date", "d"]);
  assert.deepEqual(planResponse(answer, { method: "HEAD", httpVersion: "1.1" }).fields, ["Date", "d"]);
});

test("makeHostOf() says the endpoint's name, the client's or the configured one", () => {
  const upstream = { tls: undefined } as Parameters<typeof makeHostOf>[0]["upstream"]; // nothing else of it is asked
  const endpoint = { host: "db", port: 8080 };
  assert.equal(makeHostOf({ hostHeader: "endpoint", upstream })(endpoint, "a"), "db:8080");
  assert.equal(makeHostOf({ hostHeader: "endpoint", upstream })({ host: "::1", port: 80 }, "a"), "[::1]");
  assert.equal(makeHostOf({ hostHeader: "endpoint", upstream })({ host: "localhost", port: undefined }, "a"), "localhost");
  assert.equal(makeHostOf({ hostHeader: "preserve", upstream })(endpoint, "a"), "a");
  assert.equal(makeHostOf({ hostHeader: "preserve", upstream })(endpoint, undefined), "db:8080");
  assert.equal(makeHostOf({ hostHeader: { value: "v" }, upstream })(endpoint, "a"), "v");
});

test("isFieldName() and isFieldValue() take nothing that ends a line", () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom("\r", "\n", "\0", "\x7f", "Ā"), fc.string(), (before, bad, after) => {
      assert.equal(isFieldValue(before + bad + after), false);
      assert.equal(isFieldName(before + bad + after), false);
    }),
  );
});
