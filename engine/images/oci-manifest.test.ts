import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../errors.ts";
import { parseImageConfig } from "./image-config.ts";
import { choosePlatform, machinePlatform, parseManifest } from "./oci-manifest.ts";

const digest = `sha256:${"0".repeat(64)}`;
const blob = { digest, size: 1, mediaType: "application/vnd.oci.image.config.v1+json" };
const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

const wrongManifests: readonly (readonly [value: unknown, problem: RegExp])[] = [
  [[], /it is not an object/],
  [{}, /neither layers nor manifests/],
  [{ schemaVersion: 1, layers: [] }, /schema version 1/],
  [{ layers: [] }, /config is not an object/],
  [{ layers: [], config: { ...blob, digest: "sha256:../../x" } }, /config has a digest/],
  [{ layers: [{ ...blob, size: -1 }], config: blob }, /layers has no size/],
  [
    { layers: [], config: { ...blob, mediaType: "application/vnd.cncf.helm.config.v1+json" } },
    /no container image but "application\/vnd\.cncf\.helm/,
  ],
  [{ manifests: [{ digest }] }, /manifests has no size/],
];
for (const [value, problem] of wrongManifests) {
  test(`parseManifest() refuses ${JSON.stringify(value).slice(0, 60)}`, () => {
    assert.throws(
      () => parseManifest(bytes(value), "M"),
      (error) => hasCode(error, "IMAGE_INVALID") && problem.test(error.message) && error.message.startsWith("M is invalid"),
    );
  });
}

test("parseManifest() reads images and lists of images", () => {
  const image = parseManifest(bytes({ schemaVersion: 2, config: blob, layers: [blob] }), "M");
  assert.equal(image.kind === "image" && image.layers[0]?.sizeBytes, 1);
  const list = parseManifest(bytes({ schemaVersion: 2, manifests: [{ ...blob, annotations: { a: "b", c: 1 } }] }), "M");
  assert.deepEqual(list.kind === "index" && list.manifests[0]?.annotations, { a: "b" });
});

test("choosePlatform() takes the machine's, of ARM's variants v8, and never what is no image", () => {
  const on = (os: string, architecture: string, variant = "") => ({
    mediaType: "",
    digest,
    sizeBytes: 1,
    annotations: {},
    platform: { os, architecture, variant },
  });
  const list = [
    on("unknown", "unknown"),
    on("windows", "amd64"),
    on("linux", "arm64", "v9"),
    on("linux", "arm64", "v8"),
    on("linux", "amd64"),
  ];
  assert.equal(choosePlatform(list, machinePlatform("x64")), list[4]);
  assert.equal(choosePlatform(list, machinePlatform("arm64")), list[3]);
  assert.equal(choosePlatform(list, machinePlatform("s390x")), undefined);
  const silent = { ...on("", ""), platform: undefined };
  assert.equal(choosePlatform([silent], machinePlatform()), silent);
});

test("parseImageConfig() fills in what is not said, and refuses what is of another kind", () => {
  const rootfs = { type: "layers", diff_ids: [digest] };
  const { config, diffIds } = parseImageConfig(bytes({ rootfs, config: null }));
  assert.deepEqual(
    [config, diffIds],
    [{ entrypoint: [], cmd: [], env: [], user: "", workingDir: "", stopSignal: "", volumes: [] }, [digest]],
  );
  assert.deepEqual(parseImageConfig(bytes({ rootfs, config: { Volumes: { "/a": {}, "b/": {} } } })).config.volumes, ["/a", "b/"]);
  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [{}, /rootfs is not an object/],
    [{ rootfs: { diff_ids: ["../../etc"] } }, /no sha256 digest/],
    [{ rootfs, config: { Cmd: "sh" } }, /config\.Cmd is not a list/],
    [{ rootfs, config: { Volumes: ["/a"] } }, /config\.Volumes is not an object/],
    [
      { rootfs, config: { Volumes: Object.fromEntries(Array.from({ length: 257 }, (_, n) => [`/${n}`, {}])) } },
      /has 257 paths, more than 256/,
    ],
    [{ rootfs, config: { Env: [1] } }, /config\.Env\[\] is not a string/],
  ];
  for (const [value, problem] of wrong) assert.throws(() => parseImageConfig(bytes(value)), problem);
  assert.throws(() => parseImageConfig(Buffer.from("{")), /not JSON/);
});
