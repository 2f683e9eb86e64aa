import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CommandError, isErrno, readTextIfPresent, run } from "@peapod/kit";
import { EngineError } from "../../errors.ts";
import { finishAptRootfs } from "./apt-rootfs.ts";
import { readMachineSources, sourcesForSuite } from "./apt-sources.ts";
import type { AptReference } from "../reference.ts";
import { whileRoom } from "../while-room.ts";

/** Changes when the same packages are made into something else. */
const RECIPE = 1;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Debian's name, and Go's, for that of the machines that Node.js runs on here. */
const architecture = process.arch === "x64" ? "amd64" : process.arch;

/** What mmdebstrap says, and what a person reads. */
const steps: readonly (readonly [said: string, message: string])[] = [
  ["running apt-get update", "Reading the package lists"],
  ["downloading packages", "Downloading packages"],
  ["extracting archives", "Unpacking packages"],
];

export interface AptImage {
  /** Stands for the layer's digest: of the packages with their versions, so that the same ones give the same image. */
  readonly diffId: string;
  /** An OCI image configuration, as bytes. */
  readonly config: Buffer;
  readonly packages: readonly string[];
}

/** The suite of the machine itself, such as `bookworm`; undefined where it does not say. */
export async function readMachineSuite(): Promise<string | undefined> {
  const release = (await readTextIfPresent("/etc/os-release")) ?? "";
  return /^VERSION_CODENAME="?([\w.-]+)/m.exec(release)?.[1];
}

/**
 * Makes a root file system of Debian packages and what they need in `workDir/diff`, from the machine's apt sources.
 * Throws IMAGE_NOT_FOUND for a package or suite that they do not have, IMAGE_PULL_FAILED, MACHINE_LACKS.
 */
export async function makeAptImage(
  reference: AptReference,
  options: { workDir: string; suite: string; machineSuite: string | undefined; onStep: (message: string) => void; signal: AbortSignal },
): Promise<AptImage> {
  const { workDir, suite, onStep, signal } = options;
  const sources = await writeSources(workDir, suite, options.machineSuite);
  await writeFile(join(workDir, "apt.conf"), await readAptConf(signal), { mode: 0o600 });
  await mkdir(join(workDir, "tmp"));
  const root = join(workDir, "diff");
  const said = (text: string): void => {
    for (const [words, message] of steps) if (text.includes(words)) onStep(message);
  };
  try {
    const command = mmdebstrapCommand({ reference, suite, root, workDir, sources });
    const doing = `make "${reference.name}"`;
    await whileRoom({ folder: workDir, doing, signal }, async (each) => run("setpriv", command, { signal: each, onStderr: said }));
  } catch (cause) {
    signal.throwIfAborted();
    throw explain(cause, reference, suite);
  }
  const packages = (await readFile(join(workDir, "packages"), "utf8")).split("\n").filter((name) => name.endsWith(".deb"));
  refuseMissing(reference, suite, packages);
  onStep("Finishing the root file system");
  await finishAptRootfs(root, { certificates: "/etc/ssl/certs/ca-certificates.crt", signal });
  return describe(reference, suite, packages);
}

/**
 * mmdebstrap mounts /proc and the like into what it makes: in a mount namespace of its own they cannot stay behind, and as
 * PID 1's child in a PID namespace of its own neither can apt, whether we kill it or die ourselves (pdeathsig).
 */
function mmdebstrapCommand(facts: {
  reference: AptReference;
  suite: string;
  root: string;
  workDir: string;
  sources: readonly string[];
}): string[] {
  const { reference, suite, root, workDir, sources } = facts;
  const confined = ["--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"];
  const options = [
    "--mode=root",
    "--variant=extract",
    "--format=directory",
    `--aptopt=${join(workDir, "apt.conf")}`,
    ...reference.packages.map((name) => `--include=${exactly(name)}`),
    // Debian programs expect /bin to be /usr/bin; the links come with base-files, which few packages need.
    `--setup-hook=for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d" && ln -s "usr/$d" "$1/$d"; done`,
    `--extract-hook=ls "$1/var/cache/apt/archives" > "$1/../packages"`,
  ];
  // Killed, it leaves its temporary files: then they lie in what is removed next.
  return [...confined, "env", `TMPDIR=${join(workDir, "tmp")}`, "mmdebstrap", ...options, suite, root, ...sources];
}

/**
 * apt takes a name that no package has for an expression, where it could be one, or for a package and what to do with it (`libc6+`): such names
 * go as a pattern, which matches that name or nothing. Others go as they are: apt says at once when there is no such package.
 */
function exactly(name: string): string {
  return /[.+]/.test(name) ? `?and(?exact-name(${name}),?architecture(${architecture}))` : name;
}

/** What was asked for is what came, not what apt took for it (a package that provides the name). */
function refuseMissing(reference: AptReference, suite: string, archives: readonly string[]): void {
  const came = new Set(archives.map((archive) => archive.split("_", 1)[0]));
  const missing = reference.packages.find((name) => !came.has(name));
  if (missing !== undefined) throw noPackage(reference, suite, missing);
}

function noPackage(reference: AptReference, suite: string, name: string): EngineError {
  return new EngineError(
    "IMAGE_NOT_FOUND",
    `Cannot make "${reference.name}": the apt sources have no package "${name}" in ${suite}; look for its name: apt-cache search`,
  );
}

async function writeSources(workDir: string, suite: string, machineSuite: string | undefined): Promise<string[]> {
  const own = await readMachineSources("/etc/apt");
  const wanted = machineSuite === undefined || suite === machineSuite ? own : sourcesForSuite(own, machineSuite, suite);
  await mkdir(join(workDir, "sources"));
  const paths: string[] = [];
  for (const { name, content } of wanted) {
    const path = join(workDir, "sources", name);
    await writeFile(path, content, { mode: 0o600 });
    paths.push(path);
  }
  return paths; // none: mmdebstrap asks Debian's own mirror
}

/** How the machine's apt reaches its sources: proxies, certificates, logins. mmdebstrap's apt looks only into the new root. */
async function readAptConf(signal: AbortSignal): Promise<string> {
  const { stdout } = await run("apt-config", ["dump"], { signal });
  const acquire = stdout.split("\n").filter((line) => /^Acquire::.*"[^"]*";$/.test(line));
  return [
    ...acquire,
    `APT::Sandbox::User "root";`,
    `Dir::Etc::netrc "/etc/apt/auth.conf";`,
    `Dir::Etc::netrcparts "/etc/apt/auth.conf.d";`,
    "",
  ].join("\n");
}

function describe(reference: AptReference, suite: string, packages: readonly string[]): AptImage {
  const content = { recipe: RECIPE, suite, packages: packages.toSorted() };
  const diffId = `sha256:${createHash("sha256").update(JSON.stringify(content)).digest("hex")}`;
  const config = {
    architecture,
    os: "linux",
    config: { Env: [`PATH=${PATH}`] },
    rootfs: { type: "layers", diff_ids: [diffId] },
    history: [{ created_by: `${reference.packages.join(" ")} from ${suite}` }],
  };
  return { diffId, config: Buffer.from(JSON.stringify(config)), packages };
}

/** In one sentence. Without the cause: that is all that mmdebstrap and apt wrote. */
function explain(cause: unknown, reference: AptReference, suite: string): unknown {
  if (!(cause instanceof CommandError)) return cause;
  const said = cause.stderr;
  if (cause.exitCode === 127 || isErrno(cause.cause, "ENOENT") || /failed to execute/.test(said)) {
    return new EngineError(
      "MACHINE_LACKS",
      `Cannot make "${reference.name}": mmdebstrap is not installed; install it: apt-get install mmdebstrap`,
    );
  }
  const missing = /Unable to locate package (\S+)|Package '?([^\s']+)'? has no installation candidate/.exec(said);
  if (missing !== null) return noPackage(reference, suite, missing[1] ?? missing[2] ?? "");
  if (/does not have a Release file|404 +Not Found.*Release/s.test(said)) {
    return new EngineError("IMAGE_NOT_FOUND", `Cannot make "${reference.name}": the apt sources have no suite "${suite}"`);
  }
  const errors = said.split("\n").filter((line) => /^(?:E|Err|W): (?!.*(?:failed to run|apt-get|setup failed))/.test(line));
  const reason =
    (errors.find((line) => line.startsWith("E: ")) ?? errors[0])?.replace(/^\w+: /, "") ?? said.trim().split("\n").at(-1) ?? cause.message;
  return new EngineError("IMAGE_PULL_FAILED", `Cannot make "${reference.name}" with mmdebstrap: ${reason}`);
}
