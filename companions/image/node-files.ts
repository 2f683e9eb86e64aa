import { access } from "node:fs/promises";
import { dirname, join } from "node:path";
import { run } from "@peapod/kit";

/** A file of this machine, and its place in an image, without the leading slash. */
export interface NodeFile {
  readonly from: string;
  readonly to: string;
}

/** Loaded by glibc before 2.34 when a name is looked up; later ones have them built in. */
const nameServices = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];

/** Programs with the shared libraries that they need. */
export async function findProgramFiles(programs: readonly string[], signal: AbortSignal): Promise<NodeFile[]> {
  const paths = await Promise.all(programs.map(async (program) => [program, ...(await librariesOf(program, signal))]));
  return [...new Set(paths.flat())].map((path) => ({ from: path, to: path.slice(1) }));
}

async function librariesOf(program: string, signal: AbortSignal): Promise<string[]> {
  return parseLdd((await run("ldd", [program], { signal })).stdout, program);
}

/** The Node.js that runs this, the shared libraries that it needs, and the authorities that the machine trusts. */
export async function findNodeFiles(signal: AbortSignal): Promise<NodeFile[]> {
  const libraries = await librariesOf(process.execPath, signal);
  const libc = libraries.find((path) => /\/libc\.so\.\d+$/.test(path));
  const services = libc === undefined ? [] : nameServices.map((name) => join(dirname(libc), name));
  const optional = [
    ...services.map((path) => ({ from: path, to: path.slice(1) })),
    { from: "/etc/ssl/certs/ca-certificates.crt", to: "etc/ssl/certs/ca-certificates.crt" },
    { from: join(dirname(dirname(process.execPath)), "LICENSE"), to: "usr/share/doc/node/LICENSE" },
  ];
  const there = await Promise.all(optional.map(async (file) => ((await isThere(file.from)) ? [file] : [])));
  return [{ from: process.execPath, to: "usr/bin/node" }, ...libraries.map((path) => ({ from: path, to: path.slice(1) })), ...there.flat()];
}

/** The paths in what ldd prints: `libm.so.6 => /lib/libm.so.6 (0x...)`, `/lib64/ld-linux-x86-64.so.2 (0x...)`. Throws for a missing library. */
export function parseLdd(output: string, program: string): string[] {
  const missing = /^\s*(\S+) => not found$/m.exec(output);
  if (missing !== null) throw new Error(`${program} needs ${missing[1]}, which this machine lacks`);
  return [...output.matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x[0-9a-f]+\)$/gm)].map((match) => match[1] ?? "");
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false; // one that this machine can do without
  }
}
