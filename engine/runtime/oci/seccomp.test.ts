import assert from "node:assert/strict";
import { test } from "node:test";
import { compileSeccomp, isKernelAtLeast, type SeccompTarget } from "./seccomp.ts";

const target: SeccompTarget = { arch: "x64", capabilities: ["CAP_KILL"], kernelRelease: "6.1.0-13-amd64" };
const rule = (name: string, conditions: object = {}) => ({ names: [name], action: "SCMP_ACT_ALLOW", args: [], ...conditions });
const names = (rules: readonly object[], on: SeccompTarget = target): string[] =>
  compileSeccomp({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 38, syscalls: rules }, on).syscalls.flatMap(
    (compiled) => compiled.names,
  );

test("compileSeccomp() keeps the rules for this machine alone", () => {
  const rules = [
    rule("always"),
    rule("amd64", { includes: { arches: ["amd64", "x32"] } }),
    rule("arm64", { includes: { arches: ["arm64"] } }),
    rule("not-amd64", { excludes: { arches: ["amd64"] } }),
    rule("may-kill", { includes: { caps: ["CAP_KILL"] } }),
    rule("is-admin", { includes: { caps: ["CAP_KILL", "CAP_SYS_ADMIN"] } }),
    rule("no-admin", { excludes: { caps: ["CAP_SYS_ADMIN"] } }),
    rule("new-kernel", { includes: { minKernel: "6.2" } }),
    rule("old-enough", { includes: { minKernel: "4.8" } }),
  ];
  assert.deepEqual(names(rules), ["always", "amd64", "may-kill", "no-admin", "old-enough"]);
  assert.deepEqual(names(rules, { ...target, arch: "arm64", capabilities: [] }), [
    "always",
    "arm64",
    "not-amd64",
    "no-admin",
    "old-enough",
  ]);
});

test("compileSeccomp() writes arguments, errors and the native architecture", () => {
  const profile = {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 38,
    archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86"] }],
    syscalls: [
      { names: ["socket"], action: "SCMP_ACT_ERRNO", errnoRet: 22, args: [{ index: 0, value: 16, valueTwo: 0, op: "SCMP_CMP_EQ" }] },
    ],
  };
  assert.deepEqual(compileSeccomp(profile, target), {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 38,
    architectures: ["SCMP_ARCH_X86_64"],
    syscalls: [{ names: ["socket"], action: "SCMP_ACT_ERRNO", errnoRet: 22, args: [{ index: 0, value: 16, op: "SCMP_CMP_EQ" }] }],
  });
});

test("compileSeccomp() refuses a profile that it does not understand", () => {
  for (const bad of [
    null,
    [],
    {},
    { defaultAction: "x" },
    { defaultAction: "x", syscalls: [{}] },
    { defaultAction: "x", syscalls: [rule("a", { args: [{}] })] },
  ]) {
    assert.throws(() => compileSeccomp(bad, target));
  }
  assert.throws(() => compileSeccomp({ defaultAction: "x", syscalls: [] }, { ...target, arch: "mips" }), /mips/);
});

test("isKernelAtLeast() compares releases by number", () => {
  assert.deepEqual(
    ["5.12.0", "5.9.1", "6.1-rc1", "4.19.0", "10.0"].map((release) => isKernelAtLeast(release, "5.12")),
    [true, false, true, false, true],
  );
});
