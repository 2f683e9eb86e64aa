import type { OciSeccomp, OciSyscallRule } from "./oci-spec.ts";

/** One rule of a profile. */
export interface SeccompRule {
  /** Names of system calls, with white space between them. One that the machine's kernel or libseccomp does not know does no harm. */
  readonly calls: string;
  /** Only with such an argument. */
  readonly argument?: ArgumentTest;
  /** With this errno the calls fail; undefined: they are allowed. */
  readonly fails?: number;
  /** Only where all of it is so. */
  readonly when?: {
    readonly capability?: string;
    readonly noCapability?: string;
    /** This kernel or a newer one. */
    readonly kernel?: string;
    readonly arch?: "x64" | "arm64";
  };
}

/** Of the argument with that index, from 0: that it is a value, or is not, or has none of some bits. */
type ArgumentTest = { readonly index: number } & ({ readonly is: number } | { readonly isNot: number } | { readonly without: number });

/** A machine and a container, as a profile's rules ask for them. */
export interface SeccompTarget {
  /** As Node's process.arch names it: x64, arm64. */
  readonly arch: string;
  /** The capabilities that the container's processes may have. */
  readonly capabilities: readonly string[];
  /** The kernel's release, as uname says it: 6.1.0-13-amd64. */
  readonly kernelRelease: string;
}

const architectures: Readonly<Record<string, string>> = { x64: "SCMP_ARCH_X86_64", arm64: "SCMP_ARCH_AARCH64" };

/**
 * A profile in the OCI form, for one capability set and for the native architecture alone: each further one costs milliseconds at every
 * container start. What no rule names fails with EPERM.
 */
export function compileSeccomp(rules: readonly SeccompRule[], target: SeccompTarget): OciSeccomp {
  const arch = architectures[target.arch];
  if (arch === undefined)
    throw new Error(`No seccomp architecture is known for ${target.arch}, only for ${Object.keys(architectures).join(" and ")}`);
  const applying = rules.filter((rule) => applies(rule, target));
  const plain = applying.filter(({ argument, fails }) => argument === undefined && fails === undefined);
  const others = applying.filter((rule) => !plain.includes(rule));
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    architectures: [arch],
    syscalls: [{ names: plain.flatMap(callsOf), action: "SCMP_ACT_ALLOW" }, ...others.map(compileRule)],
  };
}

function applies({ when = {} }: SeccompRule, { arch, capabilities, kernelRelease }: SeccompTarget): boolean {
  if (when.arch !== undefined && when.arch !== arch) return false;
  if (when.kernel !== undefined && !isKernelAtLeast(kernelRelease, when.kernel)) return false;
  if (when.capability !== undefined && !capabilities.includes(when.capability)) return false;
  return when.noCapability === undefined || !capabilities.includes(when.noCapability);
}

function compileRule(rule: SeccompRule): OciSyscallRule {
  return {
    names: callsOf(rule),
    ...(rule.fails === undefined ? { action: "SCMP_ACT_ALLOW" } : { action: "SCMP_ACT_ERRNO", errnoRet: rule.fails }),
    ...(rule.argument === undefined ? {} : { args: [compileArgument(rule.argument)] }),
  };
}

function compileArgument(test: ArgumentTest): NonNullable<OciSyscallRule["args"]>[number] {
  const { index } = test;
  if ("is" in test) return { index, value: test.is, op: "SCMP_CMP_EQ" };
  if ("isNot" in test) return { index, value: test.isNot, op: "SCMP_CMP_NE" };
  return { index, value: test.without, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" };
}

function callsOf({ calls }: SeccompRule): string[] {
  return calls.split(/\s+/).filter((name) => name !== "");
}

/** Tells whether a kernel's release (`6.1.0-13-amd64`) is `wanted` (`5.12`) or newer. */
export function isKernelAtLeast(release: string, wanted: string): boolean {
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split(".").map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
