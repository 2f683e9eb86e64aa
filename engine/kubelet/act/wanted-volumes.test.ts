import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod, Volume } from "@peapod/api";
import type { References } from "../decide/environment.ts";
import { wantedVolumes } from "./wanted-volumes.ts";

const references = (data: Record<string, string> = { "a.txt": "A", "b.txt": "B" }): References => ({
  configMaps: new Map([
    ["settings", { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" }, data, binaryData: { raw: "/w==" } }],
  ]),
  secrets: new Map([
    ["login", { apiVersion: "v1", kind: "Secret", metadata: { name: "login" }, data: { password: Buffer.from("s").toString("base64") } }],
  ]),
});

test("wantedVolumes() gives each volume for itself, and another digest when what it shows changes", () => {
  const volumes: Volume[] = [
    { name: "all", configMap: { name: "settings" } },
    { name: "login", secret: { secretName: "login" } },
    { name: "strict", configMap: { name: "settings", items: [{ key: "b.txt", path: "b" }] } },
  ];
  const wanted: Pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "web" }, spec: { containers: [], volumes } };
  const digests = (data?: Record<string, string>): (string | undefined)[] => {
    const { plans } = wantedVolumes(wanted, references(data));
    return volumes.map(({ name }) => plans.get(name)?.digest);
  };
  const before = digests();
  assert.deepEqual(digests(), before);
  const after = digests({ "a.txt": "other" });
  assert.deepEqual(
    after.map((digest, index) => digest === before[index]),
    [false, true, false],
  );
  assert.equal(after[2], undefined);
});
