import { access } from "node:fs/promises";
import { dirname, join } from "node:path";
import { run } from "@peapod/kit";
import type { ImageFile } from "./image-file.ts";

/** Loaded by glibc before 2.34 when a name is looked up; later ones have them built in. */
const nameServices = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];

/** Programs with the shared libraries that they need. */
export async function findProgramFiles(programs: readonly string[], signal: AbortSignal): Promise<ImageFile[]> {
  return [...programs.map(inItsPlace), ...(await findLibraries(programs, signal))];
}

/** The shared libraries that programs or other shared objects need, each once. */
export async function findLibraries(objects: readonly string[], signal: AbortSignal): Promise<ImageFile[]> {
  const paths = await Promise.all(objects.map((object) => librariesOf(object, signal)));
  return [...new Set(paths.flat())].map(inItsPlace);
}

function inItsPlace(path: string): ImageFile {
  return { from: path, to: path.slice(1), mode: 0o755 };
}

async function librariesOf(program: string, signal: AbortSignal): Promise<string[]> {
  return parseLdd((await run("ldd", [program], { signal })).stdout, program);
}

/** The Node.js that runs this, the shared libraries that it needs, and the authorities that the machine trusts. */
export async function findNodeFiles(signal: AbortSignal): Promise<ImageFile[]> {
  const libraries = await findLibraries([process.execPath], signal);
  const libc = libraries.find(({ from }) => /\/libc\.so\.\d+$/.test(from));
  const optional: readonly ImageFile[] = [
    ...(libc === undefined ? [] : nameServices.map((name) => inItsPlace(join(dirname(libc.from), name)))),
    { from: "/etc/ssl/certs/ca-certificates.crt", to: "etc/ssl/certs/ca-certificates.crt", mode: 0o644 },
    { from: join(dirname(dirname(process.execPath)), "LICENSE"), to: "usr/share/doc/node/LICENSE", mode: 0o644 },
  ];
  const there = await Promise.all(optional.map(async (file) => ((await isThere(file.from)) ? [file] : [])));
  return [{ from: process.execPath, to: "usr/bin/node", mode: 0o755 }, ...libraries, ...there.flat()];
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
