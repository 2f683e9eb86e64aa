import assert from "node:assert/strict";
import { test } from "node:test";
import { CommandError } from "@peapod/kit";
import { explainSkopeo } from "./skopeo.ts";

const fatal = (message: string): string => `time="2026-01-01T00:00:00Z" level=fatal msg=${JSON.stringify(message)}\n`;
const source = `docker://h.example/a:1`;

const cases: { says: string; stderr: string; exitCode?: number | null; code: string; message: string }[] = [
  {
    says: "a missing tag",
    stderr: fatal(`Error parsing image name "${source}": reading manifest 1 in h.example/a: manifest unknown: manifest unknown`),
    code: "IMAGE_NOT_FOUND",
    message: `Image "x" is not in its registry: manifest unknown`,
  },
  {
    says: "a missing repository",
    stderr: fatal(
      `Error parsing image name "${source}": reading manifest 1 in h.example/a: name unknown: repository name not known to registry`,
    ),
    code: "IMAGE_NOT_FOUND",
    message: `Image "x" is not in its registry: name unknown: repository name not known to registry`,
  },
  {
    says: "a missing login",
    stderr: fatal(`Error parsing image name "${source}": reading manifest 1 in h.example/a: unauthorized: authentication required`),
    code: "IMAGE_PULL_FAILED",
    message: `Cannot pull "x": unauthorized: authentication required; log in: docker login, or podman login`,
  },
  {
    says: "a registry that is not there",
    stderr: fatal(
      `initializing source ${source}: pinging container registry h.example: Get "https://h.example/v2/": dial tcp 1.2.3.4:443: connect: connection refused`,
    ),
    code: "IMAGE_PULL_FAILED",
    message: `Cannot pull "x": dial tcp 1.2.3.4:443: connect: connection refused`,
  },
  {
    says: "no answer in time",
    stderr: "",
    exitCode: null,
    code: "IMAGE_PULL_FAILED",
    message: `Cannot pull "x": its registry did not answer in time`,
  },
  {
    says: "a missing skopeo",
    stderr: "setpriv: failed to execute skopeo: No such file or directory\n",
    exitCode: 127,
    code: "MACHINE_LACKS",
    message: `Cannot pull "x": skopeo is not installed; install it: apt-get install skopeo`,
  },
];
for (const { says, stderr, exitCode = 1, code, message } of cases) {
  test(`explainSkopeo() tells ${says}`, () => {
    const error = explainSkopeo(new CommandError("skopeo exited", { exitCode, stderr, stdout: "" }), "x");
    assert.deepEqual([error.code, error.message], [code, message]);
  });
}
