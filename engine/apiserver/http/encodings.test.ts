import assert from "node:assert/strict";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { configMaps } from "@peapod/api";
import { parse } from "yaml";
import { ask, open } from "./asking.fixture.ts";
import { readYaml } from "../encodings/yaml-body.ts";
import { serving } from "./serving.fixture.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const yaml = { "Content-Type": "application/yaml", Accept: "application/yaml" };

test("objects go in and out as YAML, errors and lists too", async () => {
  await using served = await serving();
  const body = "kind: ConfigMap\nmetadata:\n  name: a\n  generateName: ''\ndata:\n  text: |\n    one\n    two\n  mode: '0644'\n";
  const made = await ask(served, MAPS, { method: "POST", headers: yaml, body });
  assert.deepEqual([made.code, made.headers["content-type"]], [201, "application/yaml"]);
  assert.match(made.body, /^apiVersion: v1\ndata:\n {2}mode: "0644"\n {2}text: \|\n {4}one\n {4}two\nkind: ConfigMap\nmetadata:\n/);
  assert.doesNotMatch(made.body, /generateName/);
  const put = await ask(served, `${MAPS}/a`, { method: "PUT", headers: yaml, body: made.body.replace("two", "three") });
  assert.equal((parse(put.body) as { data: { text: string } }).data.text, "one\nthree\n");
  const list = parse((await ask(served, MAPS, { headers: { Accept: "application/yaml, application/json" } })).body) as { kind: string };
  assert.equal(list.kind, "ConfigMapList");
  const table = await ask(served, MAPS, { headers: { Accept: "application/yaml;as=Table;v=v1;g=meta.k8s.io" } });
  assert.match(table.body, /\nkind: Table\n/);
  const missing = await ask(served, `${MAPS}/b`, { headers: yaml });
  assert.deepEqual(
    [missing.code, missing.headers["content-type"], (parse(missing.body) as { reason: string }).reason],
    [404, "application/yaml", "NotFound"],
  );
  const kept = await ask(served, `${MAPS}/a`, { method: "DELETE", headers: yaml, body: "preconditions: {uid: other}" });
  assert.equal(kept.code, 409);
});

test("generateName that is empty is not there, as upstream", async () => {
  await using served = await serving();
  const body = JSON.stringify({ metadata: { name: "a", generateName: "" } });
  const made = await ask(served, MAPS, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  assert.deepEqual([made.code, made.body.includes("generateName")], [201, false]);
});

test("long answers are compressed for who takes that, short ones are not", async () => {
  await using served = await serving();
  const name = "long";
  served.ground.api.create(configMaps, "default", { metadata: { name }, data: { text: "a".repeat(200_000) } }, {});
  const zipped = async (path: string, coding: string): Promise<boolean> => {
    const response = await open(served, path, { headers: { "Accept-Encoding": coding } });
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    assert.equal(String(bytes.length), response.headers["content-length"]);
    const isZipped = response.headers["content-encoding"] === "gzip";
    assert.equal(response.headers.vary?.includes("Accept-Encoding") ?? false, isZipped);
    const text = (isZipped ? gunzipSync(bytes) : bytes).toString();
    assert.ok(text.startsWith("{"));
    return isZipped;
  };
  for (const coding of ["gzip", "deflate, gzip;q=1.0", "br,gzip;q=0.5"]) assert.ok(await zipped(`${MAPS}/${name}`, coding), coding);
  for (const coding of ["", "identity", "gzip;q=0", "br"]) assert.ok(!(await zipped(`${MAPS}/${name}`, coding)), coding);
  assert.ok(await zipped("/api/v1/configmaps", "gzip"));
  assert.ok(!(await zipped("/api/v1/namespaces", "gzip")));
});

test("HEAD is answered as GET, without the body", async () => {
  await using served = await serving();
  for (const path of [
    "/api/v1/namespaces",
    "/api/v1/namespaces/default",
    "/api/v1/namespaces?watch=1",
    "/version",
    "/apis",
    "/readyz",
    "/openapi/v2",
  ]) {
    const head = await ask(served, path, { method: "HEAD" });
    const get = await ask(served, path.replace("?watch=1", ""));
    assert.deepEqual([head.code, head.body, head.headers["content-length"]], [200, "", get.headers["content-length"]], path);
  }
  assert.equal((await ask(served, "/api/v1/namespaces/none", { method: "HEAD" })).code, 404);
});

const bad: [does: string, text: string, want: RegExp][] = [
  ["two documents", "a: 1\n---\nb: 2\n", /not YAML: .*multiple documents/],
  ["aliases without end", `a: &a x\nb: [${"*a,".repeat(200)}]\n`, /not YAML: more than 100 aliases/],
  [
    "aliases of aliases",
    `a: &a [x,x,x,x,x,x,x,x,x]\n${"b c d e f g h"
      .split(" ")
      .map((name, at) => `${name}: &${name} [${`*${"abcdefg"[at]},`.repeat(9)}]\n`)
      .join("")}`,
    /not YAML: Excessive alias count/,
  ],
  ["aliases of long texts", `a: &a ${"x".repeat(60_000)}\nb: [${"*a,".repeat(90)}]\n`, /limit is 3145728/],
  ["lists without end", "[".repeat(100_000), /not YAML: /],
];
for (const [does, text, want] of bad) {
  test(`readYaml() refuses ${does}`, async () => {
    const before = process.cpuUsage();
    await assert.rejects(readYaml(Buffer.from(text)), want);
    const tookMs = process.cpuUsage(before).user / 1_000;
    assert.ok(tookMs < 10_000, `It took ${tookMs} ms of the CPU`);
  });
}

test("readYaml() takes any number of keys and merges in proportion to their number", async () => {
  const keys = Array.from({ length: 25_000 }, (_, index) => `k${index}: 1\n`).join("");
  const merges = `base: &base\n${Array.from({ length: 5_000 }, (_, index) => `  k${index}: 1\n`).join("")}`;
  const before = process.cpuUsage();
  assert.equal(Object.keys((await readYaml(Buffer.from(`${keys}k0: 2\n`))) as object).length, 25_000);
  const merged = (await readYaml(Buffer.from(`${merges}all:\n${"  - <<: *base\n".repeat(40)}`))) as { all: object[] };
  assert.equal(Object.keys(merged.all[39] ?? {}).length, 5_000);
  const tookMs = process.cpuUsage(before).user / 1_000;
  assert.ok(tookMs < 10_000, `It took ${tookMs} ms of the CPU`);
});
