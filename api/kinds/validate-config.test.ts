import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigMap, Secret } from "../generated.ts";
import type { KubeObject } from "./resource.ts";
import { validate } from "../objects/validate.ts";

const configMap = (fields: Partial<ConfigMap>): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "c", namespace: "default" },
  ...fields,
});
const secret = (fields: Partial<Secret>): Secret => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "s", namespace: "default" },
  type: "Opaque",
  ...fields,
});
const key =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

const cases: { does: string; object: KubeObject; want: string[] }[] = [
  { does: "a plain ConfigMap", object: configMap({ data: { "a.b_c-D": "1" }, binaryData: { b: "AA==" } }), want: [] },
  {
    does: "a ConfigMap's bad keys",
    object: configMap({ data: { "a/b": "1", "..": "2" } }),
    want: [`data[a/b]: Invalid value: "a/b": ${key}`, `data[..]: Invalid value: "..": must not be '..'`],
  },
  {
    does: "a key in both halves",
    object: configMap({ data: { a: "1" }, binaryData: { a: "AA==" } }),
    want: ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
  },
  {
    does: "a ConfigMap too large",
    object: configMap({ data: { a: "é".repeat(524_289) } }),
    want: ["[]: Too long: may not be more than 1048576 bytes"],
  },
  {
    does: "a Secret too large",
    object: secret({ data: { a: "AAAA".repeat(349_526) } }),
    want: ["data: Too long: may not be more than 1048576 bytes"],
  },
  {
    does: "a registry Secret without its key",
    object: secret({ type: "kubernetes.io/dockerconfigjson" }),
    want: ["data[.dockerconfigjson]: Required value"],
  },
  {
    does: "a registry Secret that is no JSON",
    object: secret({ type: "kubernetes.io/dockerconfigjson", data: { ".dockerconfigjson": btoa("secret!") } }),
    want: ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": must be a JSON object'],
  },
  {
    does: "a registry Secret",
    object: secret({ type: "kubernetes.io/dockerconfigjson", data: { ".dockerconfigjson": btoa("{}") } }),
    want: [],
  },
  {
    does: "a TLS Secret without its key",
    object: secret({ type: "kubernetes.io/tls", data: { "tls.crt": "" } }),
    want: ["data[tls.key]: Required value"],
  },
];
for (const { does, object, want } of cases) {
  test(`validate() judges ${does}`, () =>
    assert.deepEqual(
      validate(object).map(({ message }) => message),
      want,
    ));
}
