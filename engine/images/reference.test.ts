import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EngineError, hasCode } from "../errors.ts";
import { canonicalName, givenName, isLoopbackHost, parseReference } from "./reference.ts";

const digest = `sha256:${"ab".repeat(32)}`;

const valid: readonly (readonly [given: string, canonical: string])[] = [
  ["nginx", "docker.io/library/nginx:latest"],
  ["nginx:1.27", "docker.io/library/nginx:1.27"],
  ["bitnami/redis", "docker.io/bitnami/redis:latest"],
  ["docker.io/nginx", "docker.io/library/nginx:latest"],
  ["index.docker.io/nginx", "docker.io/library/nginx:latest"],
  ["docker.io/a/b/c:T_1.x-y", "docker.io/a/b/c:T_1.x-y"],
  ["quay.io/a", "quay.io/a:latest"],
  ["localhost/a", "localhost/a:latest"],
  ["localhost:5000/a/b:1", "localhost:5000/a/b:1"],
  ["host:5000/a", "host:5000/a:latest"],
  ["[::1]:5000/a:1", "[::1]:5000/a:1"],
  ["127.0.0.1:5000/a__b/c--d.e", "127.0.0.1:5000/a__b/c--d.e:latest"],
  [`nginx@${digest}`, `docker.io/library/nginx@${digest}`],
  [`nginx:1.27@${digest}`, `docker.io/library/nginx@${digest}`],
  ["apt.local/nginx", "apt.local/nginx:bookworm"],
  ["apt.local/nginx/curl:trixie", "apt.local/nginx/curl:trixie"],
  ["apt.local/g++/libstdc++6", "apt.local/g++/libstdc++6:bookworm"],
  ["peapod.local/git-sync", "peapod.local/git-sync:latest"],
];
for (const [given, canonical] of valid) {
  test(`parseReference() makes ${canonical} of ${given}`, () => {
    assert.equal(canonicalName(parseReference(given), "bookworm"), canonical);
    assert.equal(canonicalName(parseReference(canonical), "bookworm"), canonical, "and leaves it as it is");
  });
}

const invalid: readonly (readonly [given: string, problem: RegExp])[] = [
  ["", /it is empty/],
  ["a b", /white space/],
  ["https://quay.io/a", /scheme; leave "https:\/\/" out/],
  ["Nginx", /"Nginx" has upper-case letters/],
  ["Upper/case", /"Upper" has upper-case letters/],
  ["a//b", /part of its path is empty/],
  ["a/", /part of its path is empty/],
  ["quay.io/", /part of its path is empty/],
  ["/a", /part of its path is empty/],
  ["a:", /"" is not a tag/],
  ["a:-x", /"-x" is not a tag/],
  [`a:${"x".repeat(129)}`, /is not a tag/],
  ["a@sha256:12", /"sha256:12" is not a digest/],
  ["a@", /"" is not a digest/],
  ["-a", /"-a" is not allowed in a path/],
  ["a..b/c", /"a\.\.b" is not a host name/],
  ["quay.io/a..b", /"a\.\.b" is not allowed in a path/],
  ["../../etc", /is not a host name/],
  ["$(id)/x", /is not allowed/],
  [`a/${"b".repeat(250)}`, /more than 255 characters/],
  ["peapod.local/ambassador:1.2", /made on the spot: leave the tag out/],
  ["apt.local/", /package name is missing/],
  ["apt.local/nginx/", /package name is missing/],
  ["apt.local/Nginx", /"Nginx" is not the name of a Debian package/],
  ["apt.local/--help", /"--help" is not the name/],
  ["apt.local/busybox/libc6-", /"libc6-" is not the name of a Debian package/],
  ["apt.local/libc6.", /"libc6\." is not the name of a Debian package/],
  ["apt.local:80/busybox", /apt\.local is no registry; write "apt\.local\/NAME"/],
  ["Apt.local/busybox", /apt\.local is no registry/],
  ["peapod.local:5000/ambassador", /peapod\.local is no registry/],
  ["PEAPOD.local/ambassador", /peapod\.local is no registry/],
  ["apt.local/nginx:Book worm", /white space/],
  ["apt.local/nginx:../x", /is not the name of a Debian package|is not a suite/],
  [`apt.local/nginx@${digest}`, /no digest/],
];
for (const [given, problem] of invalid) {
  test(`parseReference() refuses ${JSON.stringify(given.slice(0, 40))}`, () => {
    assert.throws(
      () => parseReference(given),
      (error) => hasCode(error, "IMAGE_NAME_INVALID") && problem.test(error.message) && error.message.includes(given),
    );
  });
}

test("parseReference() gives a name that can be parsed again, or says what is wrong, for any text", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-zA-Z0-9.:/@_[\]-]{0,40}$/)), (text) => {
      try {
        const canonical = canonicalName(parseReference(text), "bookworm");
        assert.equal(canonicalName(parseReference(canonical), "bookworm"), canonical);
      } catch (cause) {
        assert.ok(cause instanceof EngineError, String(cause));
      }
    }),
  );
});

test("givenName() is complete, and never a name that the engine or a registry answers for", () => {
  assert.equal(givenName("my/app"), "docker.io/my/app:latest");
  const refused: [string, RegExp][] = [
    ["peapod.local/ambassador", /cannot be given: images of peapod\.local are made on this machine/],
    ["apt.local/busybox:bookworm", /cannot be given: images of apt\.local are made on this machine/],
    [`nginx@${digest}`, /cannot be given: a digest names what its registry has/],
    [`nginx:1@${digest}`, /a digest names/],
    ["Upper/case", /is invalid/],
  ];
  for (const [text, problem] of refused)
    assert.throws(
      () => givenName(text),
      (error) => hasCode(error, "IMAGE_NAME_INVALID") && problem.test(error.message) && error.message.includes(text),
      text,
    );
});

test("isLoopbackHost() knows the machine's own addresses", () => {
  const hosts = [
    "localhost",
    "localhost:5000",
    "127.0.0.1",
    "127.9.8.7:1",
    "[::1]:5000",
    "docker.io",
    "128.0.0.1",
    "127.0.0.1.example.com",
    "localhost.example.com",
  ];
  assert.deepEqual(hosts.filter(isLoopbackHost), hosts.slice(0, 5));
});
