import assert from "node:assert/strict";
import { test } from "node:test";
import { configMaps, type KubeObject, namespaces, type Pod, pods, type Resource, secrets } from "@peapod/api";
import type { ManifestObject } from "./manifest.ts";
import { inOrder, mergePatchOf, whyRecreate } from "./apply.ts";

const ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration";
type Loose = Omit<KubeObject, "metadata"> & {
  metadata: Record<string, unknown>;
  data?: unknown;
  stringData?: unknown;
  spec?: unknown;
  status?: unknown;
};

/** As it is stored after `object` was applied. */
function applied(object: Loose, more: object = {}): KubeObject {
  const annotations = { [ANNOTATION]: JSON.stringify({ ...object, metadata: { annotations: {}, ...object.metadata } }) };
  return { ...object, ...more, metadata: { ...object.metadata, annotations, uid: "u" } } as KubeObject;
}
/** As it is sent. */
const wanted = (object: Loose): KubeObject =>
  JSON.parse(JSON.stringify(applied(object), (key, value: unknown) => (key === "uid" ? undefined : value))) as KubeObject;
const configMap = (data: Record<string, string>): Loose => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c" }, data });
const container = { name: "a", image: "x:1" };
const pod = (spec: object): Loose => ({ apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec });

const withoutAnnotation = (patch: unknown): unknown =>
  JSON.parse(JSON.stringify(patch, (key, value: unknown) => (key === ANNOTATION ? undefined : value)));

test("mergePatchOf() changes nothing where nothing changed", () => {
  assert.equal(mergePatchOf(applied(configMap({ a: "1" })), wanted(configMap({ a: "1" }))), undefined);
  assert.equal(
    mergePatchOf(
      applied(pod({ containers: [container] }), { spec: { containers: [{ ...container, terminationMessagePath: "/x" }], nodeName: "n" } }),
      wanted(pod({ containers: [container] })),
    ),
    undefined,
  );
});

test("mergePatchOf() sets what changed, and takes away what is no longer wanted but not what others set", () => {
  const stored = applied(configMap({ a: "1", b: "2" }), { data: { a: "1", b: "2", other: "3" } });
  assert.deepEqual(withoutAnnotation(mergePatchOf(stored, wanted(configMap({ a: "9" })))), {
    metadata: { annotations: {} },
    data: { a: "9", b: null },
  });
});

test("mergePatchOf() compares a Secret's stringData with what it became", () => {
  const secret: Loose = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, stringData: { a: "hi" } };
  const stored = { ...applied(secret), data: { a: "aGk=" }, stringData: undefined } as unknown as KubeObject;
  assert.equal(mergePatchOf(stored, wanted(secret)), undefined);
});

test("mergePatchOf() changes a pod's images in the stored list", () => {
  const stored = applied(pod({ containers: [container] }), { spec: { containers: [{ ...container, terminationMessagePath: "/x" }] } });
  const patch = mergePatchOf(stored, wanted(pod({ containers: [{ ...container, image: "x:2" }] }))) as { spec: unknown };
  assert.deepEqual(patch.spec, { containers: [{ name: "a", image: "x:2", terminationMessagePath: "/x" }] });
});

const recreate: { does: string; stored?: object; spec?: object; want: string | undefined }[] = [
  { does: "keeps a pod that is the same", want: undefined },
  { does: "keeps a pod with another image", spec: { containers: [{ name: "a", image: "x:2" }] }, want: undefined },
  { does: "renews a pod with another command", spec: { containers: [{ ...container, command: ["ls"] }] }, want: "its spec changed" },
  { does: "renews a pod that ended", stored: { status: { phase: "Succeeded" } }, want: "it ended before" },
];
for (const { does, stored = {}, spec = { containers: [container] }, want } of recreate) {
  test(`whyRecreate() ${does}`, () => {
    const base = applied(pod({ containers: [container] }), stored);
    assert.equal(whyRecreate(base as unknown as Pod, wanted(pod(spec)) as unknown as Pod), want);
  });
}

test("whyRecreate() compares with what is stored where nothing was applied before", () => {
  const stored = { ...pod({ containers: [{ ...container, terminationMessagePath: "/x" }], nodeName: "n" }) } as unknown as Pod;
  assert.equal(whyRecreate(stored, wanted(pod({ containers: [container] })) as unknown as Pod), undefined);
  assert.equal(whyRecreate(stored, wanted(pod({ containers: [{ ...container, image: "x:2" }] })) as unknown as Pod), "its spec changed");
});

test("inOrder() puts what others need first", () => {
  const of = (resource: Resource): ManifestObject => ({ resource, object: {} }) as unknown as ManifestObject;
  const order = inOrder([of(pods), of(secrets), of(namespaces), of(configMaps)]).map(({ resource }) => resource.kind);
  assert.deepEqual(order, ["Namespace", "ConfigMap", "Secret", "Pod"]);
});
