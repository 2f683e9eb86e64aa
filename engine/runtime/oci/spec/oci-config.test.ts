import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { containerConfig } from "../../runtime.conformance.ts";
import { ociConfig, type OciConfigInput } from "./oci-config.ts";

const base: OciConfigInput = {
  container: containerConfig({ rootfsPath: "/images/busybox", logDirectory: "/logs" }, { args: ["sleep", "1000"] }),
  user: { uid: 1000, gid: 1001, additionalGids: [1001, 2000], home: "/home/web" },
  sandbox: { hostname: "web", net: "/s/ns/net", ipc: "/s/ns/ipc", uts: "/s/ns/uts", pid: undefined, shm: "/s/shm" },
  cgroupsPath: "/peapod-ab12/poduid/id",
  machine: { cgroupVersion: 1, lowestOomScoreAdj: 0, recursiveReadonly: true },
  seccomp: undefined,
};

test("ociConfig() writes the configuration that is in the golden file", () => {
  const config = ociConfig({
    ...base,
    container: {
      ...base.container,
      tty: true,
      env: ["A=b", "HOME=/elsewhere"],
      mounts: [
        { hostPath: "/v/deep", containerPath: "/data/deep", readonly: false, propagation: "rslave" },
        { hostPath: "/v/data", containerPath: "/data", readonly: true },
      ],
      resources: { cpuShares: 102, cpuQuotaUs: 50_000, memoryLimitBytes: 64 * 1024 * 1024, pidsLimit: 100 },
    },
    sandbox: { ...base.sandbox, pid: "/s/ns/pid" },
    machine: { cgroupVersion: 2, lowestOomScoreAdj: -1000, recursiveReadonly: true },
    seccomp: { defaultAction: "SCMP_ACT_ERRNO", architectures: ["SCMP_ARCH_X86_64"], syscalls: [] },
  });
  const golden = new URL("oci-config.golden.json", import.meta.url);
  if (process.env["UPDATE_GOLDEN"] === "1")
    writeFileSync(
      golden,
      `${JSON.stringify(config, undefined, 2)}
`,
    );
  assert.deepEqual(JSON.parse(JSON.stringify(config)), JSON.parse(readFileSync(golden, "utf8")));
});

const cases: { does: string; given: Partial<OciConfigInput>; look: (config: ReturnType<typeof ociConfig>) => unknown; want: unknown }[] = [
  {
    does: "adds PATH, HOSTNAME and HOME",
    given: {},
    look: ({ process }) => process.env,
    want: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=web", "HOME=/home/web"],
  },
  {
    does: "gives a process namespace of its own",
    given: {},
    look: ({ linux }) => linux.namespaces.find(({ type }) => type === "pid"),
    want: { type: "pid" },
  },
  {
    does: "hides the cgroups of others on v1, too",
    given: {},
    look: ({ linux }) => linux.namespaces.some(({ type }) => type === "cgroup"),
    want: true,
  },
  {
    does: "limits nothing that has no limit",
    given: {},
    look: ({ linux }) => linux.resources,
    want: { devices: [{ allow: false, access: "rwm" }] },
  },
  {
    does: "goes no lower with oom_score_adj than the engine may",
    given: { container: { ...base.container, oomScoreAdj: -997 } },
    look: ({ process }) => process.oomScoreAdj,
    want: 0,
  },
  {
    does: "makes a mount read-only alone where all below it cannot be",
    given: {
      container: { ...base.container, mounts: [{ hostPath: "/v", containerPath: "/v", readonly: true }] },
      machine: { ...base.machine, recursiveReadonly: false },
    },
    look: ({ mounts }) => mounts.at(-1)?.options,
    want: ["rbind", "ro", "rprivate"],
  },
  {
    does: "lets mounts out where one is shared",
    given: { container: { ...base.container, mounts: [{ hostPath: "/v", containerPath: "/v", readonly: false, propagation: "rshared" }] } },
    look: ({ linux }) => linux.rootfsPropagation,
    want: "rshared",
  },
];

for (const { does, given, look, want } of cases) {
  test(`ociConfig() ${does}`, () => assert.deepEqual(look(ociConfig({ ...base, ...given })), want));
}
