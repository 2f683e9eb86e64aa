import assert from "node:assert/strict";
import { test } from "node:test";
import type { Container, Pod, Volume } from "@peapod/api";
import type { VolumePlan } from "../../volumes/volumes.ts";
import type { References } from "./environment.ts";
import { planVolumes } from "./volume-plans.ts";

const references = (data: Record<string, string> = { "a.txt": "A", "b.txt": "B" }): References => ({
  configMaps: new Map([
    ["settings", { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" }, data, binaryData: { raw: "/w==" } }],
  ]),
  secrets: new Map([
    ["login", { apiVersion: "v1", kind: "Secret", metadata: { name: "login" }, data: { password: Buffer.from("s").toString("base64") } }],
  ]),
});
const pod = (volume: Omit<Volume, "name">, containers: Container[] = []): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web" },
  spec: { containers, volumes: [{ name: "v", ...volume }] },
});
const planOf = (volume: Omit<Volume, "name">, containers?: Container[]): VolumePlan | undefined =>
  planVolumes(pod(volume, containers), references()).plans.get("v");

const plans: { of: string; volume: Omit<Volume, "name">; containers?: Container[]; want: VolumePlan }[] = [
  { of: "an emptyDir", volume: { emptyDir: {} }, want: { kind: "emptyDir", medium: "" } },
  {
    of: "an emptyDir in memory",
    volume: { emptyDir: { medium: "Memory", sizeLimit: "64Mi" } },
    want: { kind: "emptyDir", medium: "Memory", sizeLimitBytes: 64 * 1024 ** 2 },
  },
  {
    of: "an emptyDir in memory, no larger than the pod may be",
    volume: { emptyDir: { medium: "Memory", sizeLimit: "64Mi" } },
    containers: [{ name: "a", resources: { limits: { memory: "48Mi" } } }],
    want: { kind: "emptyDir", medium: "Memory", sizeLimitBytes: 48 * 1024 ** 2 },
  },
  {
    of: "an emptyDir in memory without a limit of its own",
    volume: { emptyDir: { medium: "Memory" } },
    containers: [{ name: "a", resources: { limits: { memory: "48Mi" } } }],
    want: { kind: "emptyDir", medium: "Memory", sizeLimitBytes: 48 * 1024 ** 2 },
  },
  {
    of: "an emptyDir on disk with a limit of nothing",
    volume: { emptyDir: { sizeLimit: "0" } },
    want: { kind: "emptyDir", medium: "" },
  },
  {
    of: "an empty list of items, which is none",
    volume: { secret: { secretName: "login", items: [] } },
    want: { kind: "files", memory: true, files: [{ path: "password", content: Buffer.from("s"), mode: 0o644 }] },
  },
  { of: "a hostPath", volume: { hostPath: { path: "/srv" } }, want: { kind: "hostPath", source: { path: "/srv" } } },
  {
    of: "a ConfigMap",
    volume: { configMap: { name: "settings", defaultMode: 0o600 } },
    want: {
      kind: "files",
      memory: false,
      files: [
        { path: "a.txt", content: Buffer.from("A"), mode: 0o600 },
        { path: "b.txt", content: Buffer.from("B"), mode: 0o600 },
        { path: "raw", content: Buffer.from([0xff]), mode: 0o600 },
      ],
    },
  },
  {
    of: "items of a ConfigMap",
    volume: { configMap: { name: "settings", items: [{ key: "a.txt", path: "sub/one", mode: 0o400 }] } },
    want: { kind: "files", memory: false, files: [{ path: "sub/one", content: Buffer.from("A"), mode: 0o400 }] },
  },
  {
    of: "a Secret, in memory",
    volume: { secret: { secretName: "login" } },
    want: { kind: "files", memory: true, files: [{ path: "password", content: Buffer.from("s"), mode: 0o644 }] },
  },
  {
    of: "a ConfigMap that something is mounted in",
    volume: { configMap: { name: "none", optional: true } },
    containers: [
      {
        name: "a",
        volumeMounts: [
          { name: "v", mountPath: "/config" },
          { name: "w", mountPath: "/config/in" },
        ],
      },
    ],
    want: { kind: "files", memory: false, files: [], mountPoints: ["in"] },
  },
  {
    of: "an optional ConfigMap that is missing",
    volume: { configMap: { name: "none", optional: true } },
    want: { kind: "files", memory: false, files: [] },
  },
];

for (const { of, volume, containers, want } of plans) {
  test(`planVolumes() resolves ${of}`, () => assert.deepEqual(planOf(volume, containers), want));
}

for (const { of, volume, message } of [
  {
    of: "ConfigMap",
    volume: { configMap: { name: "none" } },
    message: 'MountVolume.SetUp failed for volume "v" : configmap "none" not found',
  },
  {
    of: "Secret",
    volume: { secret: { secretName: "none" } },
    message: 'MountVolume.SetUp failed for volume "v" : secret "none" not found',
  },
  {
    of: "key of a ConfigMap",
    volume: { configMap: { name: "settings", items: [{ key: "c", path: "c" }] } },
    message: 'MountVolume.SetUp failed for volume "v" : configmap references non-existent config key: c',
  },
]) {
  test(`planVolumes() says in upstream's words which ${of} is missing`, () =>
    assert.deepEqual(planVolumes(pod(volume), references()), { plans: new Map(), problems: new Map([["v", message]]) }));
}
