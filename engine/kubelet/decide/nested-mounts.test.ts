import assert from "node:assert/strict";
import { test } from "node:test";
import type { VolumeMount } from "@peapod/api";
import { nestedMountPoints } from "./nested-mounts.ts";

const cases: { does: string; mounts: (VolumeMount | string)[][]; want: string[] }[] = [
  { does: "finds nothing where nothing is nested", mounts: [["config:/config", "other:/configs", "more:/"]], want: [] },
  {
    does: "finds what is mounted below",
    mounts: [["config:/config", "secret:/config/secret", "deep:/config/a/b"]],
    want: ["a/b", "secret"],
  },
  {
    does: "takes the outermost of several",
    mounts: [["deep:/config/a/b", "config:/config", "out:/config/a", "beside:/config/ab"]],
    want: ["a", "ab"],
  },
  {
    does: "looks at each container for itself",
    mounts: [
      ["config:/config", "x:/config/x"],
      ["config:/etc/app", "y:/config/y"],
    ],
    want: ["x"],
  },
  { does: "cleans paths", mounts: [["config:/config/", "x:/config//x/./y/"]], want: ["x/y"] },
  { does: "takes a volume that is mounted in itself", mounts: [["config:/config", "config:/config/again"]], want: ["again"] },
  {
    does: "leaves parts of the volume alone",
    mounts: [[{ name: "config", mountPath: "/config", subPath: "part" }, "x:/config/x"]],
    want: [],
  },
];

for (const { does, mounts, want } of cases) {
  test(`nestedMountPoints() ${does}`, () => {
    const containers = mounts.map((list, index) => ({
      name: `c${index}`,
      volumeMounts: list.map((mount): VolumeMount => {
        if (typeof mount !== "string") return mount;
        const [name = "", mountPath = ""] = mount.split(":");
        return { name, mountPath };
      }),
    }));
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: { containers } } as const;
    assert.deepEqual(nestedMountPoints(pod, "config"), want);
  });
}
