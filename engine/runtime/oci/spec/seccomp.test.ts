import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultCapabilities } from "./container-defaults.ts";
import type { OciSyscallRule } from "./oci-spec.ts";
import { runtimeDefault } from "./seccomp-profile.ts";
import { compileSeccomp, isKernelAtLeast, type SeccompRule, type SeccompTarget } from "./seccomp.ts";

const target: SeccompTarget = { arch: "x64", capabilities: ["CAP_KILL"], kernelRelease: "6.1.0-13-amd64" };

test("compileSeccomp() keeps the rules for this machine and these capabilities alone", () => {
  const rules: SeccompRule[] = [
    { calls: "always\n  and-ever" },
    { calls: "x64", when: { arch: "x64" } },
    { calls: "arm64", when: { arch: "arm64" } },
    { calls: "may-kill", when: { capability: "CAP_KILL" } },
    { calls: "no-kill", when: { noCapability: "CAP_KILL" } },
    { calls: "new-kernel", when: { kernel: "6.2" } },
    { calls: "old-enough", when: { kernel: "4.8", arch: "x64" } },
  ];
  const names = (on: SeccompTarget): string[] => compileSeccomp(rules, on).syscalls.flatMap((rule) => rule.names);
  assert.deepEqual(names(target), ["always", "and-ever", "x64", "may-kill", "old-enough"]);
  assert.deepEqual(names({ ...target, arch: "arm64", capabilities: [] }), ["always", "and-ever", "arm64", "no-kill"]);
  assert.throws(() => compileSeccomp(rules, { ...target, arch: "mips" }), /mips/);
});

test("compileSeccomp() writes arguments, errors and the native architecture", () => {
  const rules: SeccompRule[] = [
    { calls: "plain" },
    { calls: "is", argument: { index: 1, is: 7 } },
    { calls: "not", argument: { index: 0, isNot: 40 } },
    { calls: "bits", argument: { index: 0, without: 6 } },
    { calls: "fails", fails: 38 },
  ];
  const allow = "SCMP_ACT_ALLOW";
  assert.deepEqual(compileSeccomp(rules, target), {
    defaultAction: "SCMP_ACT_ERRNO",
    architectures: ["SCMP_ARCH_X86_64"],
    syscalls: [
      { names: ["plain"], action: allow },
      { names: ["is"], action: allow, args: [{ index: 1, value: 7, op: "SCMP_CMP_EQ" }] },
      { names: ["not"], action: allow, args: [{ index: 0, value: 40, op: "SCMP_CMP_NE" }] },
      { names: ["bits"], action: allow, args: [{ index: 0, value: 6, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }] },
      { names: ["fails"], action: "SCMP_ACT_ERRNO", errnoRet: 38 },
    ],
  });
});

test("runtimeDefault gives what containerd's gives, by capability", () => {
  const rulesOf = (capabilities: readonly string[], call: string): OciSyscallRule[] =>
    compileSeccomp(runtimeDefault, { ...target, capabilities }).syscalls.filter(({ names }) => names.includes(call));
  const refused = [
    "unshare",
    "setns",
    "mount",
    "umount2",
    "keyctl",
    "add_key",
    "request_key",
    "io_uring_setup",
    "bpf",
    "userfaultfd",
    "swapon",
  ];
  for (const call of refused) assert.deepEqual(rulesOf(defaultCapabilities, call), [], call);
  const [clone] = rulesOf(defaultCapabilities, "clone");
  assert.deepEqual(clone?.args, [{ index: 0, value: 0x7e02_0000, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }]);
  assert.equal(rulesOf(defaultCapabilities, "clone3")[0]?.errnoRet, 38);
  const admin = [...defaultCapabilities, "CAP_SYS_ADMIN"];
  for (const call of ["unshare", "mount", "clone", "clone3"]) {
    const rules = rulesOf(admin, call);
    assert.deepEqual([rules.length, rules[0]?.action, rules[0]?.args], [1, "SCMP_ACT_ALLOW", undefined], call);
  }
  assert.deepEqual(rulesOf(admin, "keyctl"), []);
  assert.equal(rulesOf(defaultCapabilities, "chroot").length, 1);
  assert.deepEqual(rulesOf([], "chroot"), []);
});

test("isKernelAtLeast() compares releases by number", () => {
  assert.deepEqual(
    ["5.12.0", "5.9.1", "6.1-rc1", "4.19.0", "10.0"].map((release) => isKernelAtLeast(release, "5.12")),
    [true, false, true, false, true],
  );
});
