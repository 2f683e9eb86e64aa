import assert from "node:assert/strict";
import { test } from "node:test";
import { nearestName } from "./suggest.ts";

const commands = [
  "up",
  "down",
  "ps",
  "logs",
  "exec",
  "image",
  "companion",
  "serve",
  "stop",
  "kubeconfig",
  "fields",
  "completion",
  "version",
];
const fields = [
  "image",
  "imagePullPolicy",
  "ports",
  "securityContext",
  "resources",
  "restartPolicy",
  "hostname",
  "hostNetwork",
  "env",
  "envFrom",
];
const cases: { word: string; among: readonly string[]; want: string | undefined }[] = [
  { word: "lgos", among: commands, want: "logs" },
  { word: "log", among: commands, want: "logs" },
  { word: "ver", among: commands, want: "version" },
  { word: "olgs", among: commands, want: "logs" },
  { word: "mage", among: commands, want: "image" },
  { word: "top", among: commands, want: undefined },
  { word: "get", among: commands, want: undefined },
  { word: "cp", among: commands, want: undefined },
  { word: "run", among: commands, want: undefined },
  { word: "start", among: commands, want: undefined },
  { word: "com", among: commands, want: undefined },
  { word: "", among: commands, want: undefined },
  { word: "ipmage_pull-policy", among: fields, want: "imagePullPolicy" },
  { word: "restartPolcy", among: fields, want: "restartPolicy" },
  { word: "security", among: fields, want: "securityContext" },
  { word: "host", among: fields, want: undefined },
  { word: "prots", among: fields, want: "ports" },
  { word: "Service", among: ["Pod", "Service", "ServiceAccount"], want: "Service" },
  { word: "Services", among: ["Pod", "Secret", "ServiceAccount"], want: undefined },
];
for (const { word, among, want } of cases) {
  test(`nearestName() takes "${word}" for ${want ?? "nothing it knows"}`, () => assert.equal(nearestName(word, among), want));
}

test("nearestName() looks at no name of great length", () => {
  assert.equal(nearestName("x".repeat(1_000_000), ["xx"]), undefined);
});
