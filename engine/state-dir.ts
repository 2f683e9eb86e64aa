import { randomBytes } from "node:crypto";
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { chmod, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { readTextIfPresent, type Scope, writeFileAtomic } from "@peapod/kit";
import { EngineError } from "./errors.ts";
import { lockFile } from "./linux/libc.ts";

/** An engine's two directories, held by this process alone. */
export interface EngineDirs {
  /** Eight hexadecimal digits, random, kept in the state directory: what every name on the machine is made of. */
  readonly engineId: string;
}

/**
 * Makes the state and run directories, for root alone, and takes the state directory for this process until the scope closes.
 * Throws STATE_DIR_BUSY, naming the process, when another engine has it.
 */
export async function holdDirs(stateDir: string, runDir: string, scope: Scope): Promise<EngineDirs> {
  for (const dir of [stateDir, runDir]) {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await chmod(dir, 0o700);
  }
  for (const dir of [stateDir, runDir]) await hold(dir, scope);
  return { engineId: await readEngineId(stateDir) };
}

async function hold(dir: string, scope: Scope): Promise<void> {
  const path = join(dir, "engine.lock");
  const fd = openSync(path, "a+", 0o600);
  scope.defer(() => closeSync(fd));
  if (!lockFile(fd)) {
    const holder = (await readFile(path, "utf8")).trim();
    const who = holder === "" ? "Another engine" : `Another engine (process ${holder})`;
    throw new EngineError(
      "STATE_DIR_BUSY",
      `${who} already uses ${dir}: stop it with peapod stop, or give this one directories of its own with --state-dir and --run-dir`,
    );
  }
  ftruncateSync(fd, 0);
  writeSync(fd, `${process.pid}\n`);
}

async function readEngineId(stateDir: string): Promise<string> {
  const path = join(stateDir, "engine-id");
  const known = (await readTextIfPresent(path))?.trim();
  if (known !== undefined && /^[0-9a-f]{8}$/.test(known)) return known;
  const engineId = randomBytes(4).toString("hex");
  await writeFileAtomic(path, `${engineId}\n`, { sync: true });
  return engineId;
}
