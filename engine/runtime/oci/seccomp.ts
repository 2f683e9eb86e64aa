import type { OciSeccomp, OciSyscallRule } from "./oci-spec.ts";

/** A machine, as a profile's rules ask for it. */
export interface SeccompTarget {
  /** As Node's process.arch names it: x64, arm64. */
  readonly arch: string;
  /** The capabilities that the container's processes may have. */
  readonly capabilities: readonly string[];
  /** The kernel's release, as uname says it: 6.1.0-13-amd64. */
  readonly kernelRelease: string;
}

const architectures: Readonly<Record<string, { readonly scmp: string; readonly profile: string }>> = {
  x64: { scmp: "SCMP_ARCH_X86_64", profile: "amd64" },
  arm64: { scmp: "SCMP_ARCH_AARCH64", profile: "arm64" },
};

/**
 * Compiles a profile in the format of Docker and containers-common to the OCI form, for one capability set and for the native
 * architecture alone: each further one costs milliseconds at every container start. Throws where the profile is malformed.
 */
export function compileSeccomp(profile: unknown, target: SeccompTarget): OciSeccomp {
  const arch = architectures[target.arch];
  if (arch === undefined)
    throw new Error(`No seccomp architecture is known for ${target.arch}, only for ${Object.keys(architectures).join(" and ")}`);
  const { defaultAction, defaultErrnoRet, syscalls } = parseProfile(profile);
  const applies = (rule: ProfileRule): boolean => ruleApplies(rule, arch.profile, target);
  return {
    defaultAction,
    ...(defaultErrnoRet === undefined ? {} : { defaultErrnoRet }),
    architectures: [arch.scmp],
    syscalls: syscalls.filter(applies).map(({ names, action, errnoRet, args }) => ({
      names,
      action,
      ...(errnoRet === undefined ? {} : { errnoRet }),
      ...(args.length === 0 ? {} : { args }),
    })),
  };
}

function ruleApplies({ includes, excludes }: ProfileRule, arch: string, target: SeccompTarget): boolean {
  const has = (capability: string): boolean => target.capabilities.includes(capability);
  if (includes.arches.length > 0 && !includes.arches.includes(arch)) return false;
  if (!includes.caps.every(has)) return false;
  if (includes.minKernel !== undefined && !isKernelAtLeast(target.kernelRelease, includes.minKernel)) return false;
  if (excludes.arches.includes(arch) || excludes.caps.some(has)) return false;
  return excludes.minKernel === undefined || !isKernelAtLeast(target.kernelRelease, excludes.minKernel);
}

/** Tells whether a kernel's release (`6.1.0-13-amd64`) is `wanted` (`5.12`) or newer. */
export function isKernelAtLeast(release: string, wanted: string): boolean {
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split(".").map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

interface ProfileFilter {
  readonly arches: readonly string[];
  readonly caps: readonly string[];
  readonly minKernel?: string;
}

interface ProfileRule extends OciSyscallRule {
  readonly args: NonNullable<OciSyscallRule["args"]>;
  readonly includes: ProfileFilter;
  readonly excludes: ProfileFilter;
}

interface Profile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly syscalls: readonly ProfileRule[];
}

function parseProfile(value: unknown): Profile {
  const profile = object(value, "The seccomp profile");
  const { defaultAction, defaultErrnoRet, syscalls } = profile;
  if (typeof defaultAction !== "string") throw new Error("The seccomp profile has no defaultAction");
  if (!Array.isArray(syscalls)) throw new Error("The seccomp profile has no list of syscalls");
  return {
    defaultAction,
    ...(typeof defaultErrnoRet === "number" ? { defaultErrnoRet } : {}),
    syscalls: syscalls.map((rule: unknown, index) => parseRule(rule, `syscalls[${index}]`)),
  };
}

function parseRule(value: unknown, path: string): ProfileRule {
  const rule = object(value, path);
  if (typeof rule["action"] !== "string") throw new Error(`The seccomp profile's ${path} has no action`);
  const names = typeof rule["name"] === "string" ? [rule["name"]] : strings(rule["names"]);
  const args = Array.isArray(rule["args"]) ? rule["args"].map((argument: unknown) => parseArgument(argument, `${path}.args`)) : [];
  return {
    names,
    action: rule["action"],
    args,
    ...(typeof rule["errnoRet"] === "number" ? { errnoRet: rule["errnoRet"] } : {}),
    includes: parseFilter(rule["includes"], `${path}.includes`),
    excludes: parseFilter(rule["excludes"], `${path}.excludes`),
  };
}

function parseArgument(value: unknown, path: string): NonNullable<OciSyscallRule["args"]>[number] {
  const { index, value: compared, valueTwo, op } = object(value, path);
  if (typeof index !== "number" || typeof compared !== "number" || typeof op !== "string") {
    throw new Error(`The seccomp profile's ${path} wants index, value and op`);
  }
  return { index, value: compared, op, ...(typeof valueTwo === "number" && valueTwo !== 0 ? { valueTwo } : {}) };
}

function parseFilter(value: unknown, path: string): ProfileFilter {
  if (value === undefined || value === null) return { arches: [], caps: [] };
  const filter = object(value, path);
  const { minKernel } = filter;
  return { arches: strings(filter["arches"]), caps: strings(filter["caps"]), ...(typeof minKernel === "string" ? { minKernel } : {}) };
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
}

function object(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`${path} is no object`);
  return value as Record<string, unknown>; // a parser, checked by the line above
}
