import { access } from "node:fs/promises";
import { CommandError, run } from "@peapod/kit";
import { type Check, type CheckFacts, type Finding, lacks, ok } from "./check.ts";

interface Program {
  readonly command: string;
  readonly versionArguments: readonly string[];
  readonly debianPackage: string;
  readonly purpose: string;
  readonly state: "warn" | "fail";
}

/** What the engine runs. `warn`: only some pods or images need it. */
const programs: readonly Program[] = [
  {
    command: "conmon",
    versionArguments: ["--version"],
    debianPackage: "conmon",
    purpose: "keeps containers and their logs",
    state: "fail",
  },
  { command: "ip", versionArguments: ["-V"], debianPackage: "iproute2", purpose: "connects pods", state: "fail" },
  { command: "nft", versionArguments: ["--version"], debianPackage: "nftables", purpose: "publishes ports", state: "fail" },
  { command: "unshare", versionArguments: ["--version"], debianPackage: "util-linux", purpose: "makes namespaces", state: "fail" },
  { command: "nsenter", versionArguments: ["--version"], debianPackage: "util-linux", purpose: "enters namespaces", state: "fail" },
  { command: "skopeo", versionArguments: ["--version"], debianPackage: "skopeo", purpose: "brings images from registries", state: "warn" },
  { command: "mmdebstrap", versionArguments: ["--version"], debianPackage: "mmdebstrap", purpose: "makes apt.local images", state: "warn" },
  {
    command: "catatonit",
    versionArguments: ["--version"],
    debianPackage: "catatonit",
    purpose: "is process 1 where a pod shares processes",
    state: "warn",
  },
];

const SECCOMP_ACTIONS = "/proc/sys/kernel/seccomp/actions_avail";

/** The programs the engine runs, with their versions. */
export const checkPrograms: Check = async (facts) => {
  return await Promise.all([...programs.map((program) => checkProgram(program, facts)), checkSeccomp()]);
};

/** The first line that a program says of its version; undefined where there is no such program. */
export async function versionOf(command: string, args: readonly string[], signal: AbortSignal): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await run(command, args, { signal, timeoutMs: 10_000 });
    return (stdout.trim() || stderr.trim()).split("\n")[0] ?? "";
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof CommandError && cause.exitCode === null) return undefined;
    return "no version";
  }
}

async function checkProgram(
  { command, versionArguments, debianPackage, purpose, state }: Program,
  { signal }: CheckFacts,
): Promise<Finding> {
  const version = await versionOf(command, versionArguments, signal);
  if (version === undefined) return lacks(state, command, `not there; it ${purpose}`, `apt-get install ${debianPackage}`);
  return ok(command, version);
}

/** The profile itself is the engine's; the kernel must be able to hold a process to it. */
async function checkSeccomp(): Promise<Finding> {
  const isThere = await access(SECCOMP_ACTIONS).then(
    () => true,
    () => false,
  );
  if (isThere) return ok("seccomp", "the kernel has it");
  return lacks("fail", "seccomp", "the kernel has none; every container is confined by it", "use a kernel with CONFIG_SECCOMP_FILTER");
}
