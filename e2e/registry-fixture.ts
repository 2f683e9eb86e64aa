import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { eventually, run } from "@peapod/kit";
import { freePort } from "./pods.ts";

/** A real registry (Debian's docker-registry) on loopback. */
export interface TestRegistry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly stop: () => Promise<void>;
  readonly start: () => Promise<void>;
}

/** Starts a registry; with `htpasswd` (a line `user:bcrypt`) it wants a login. Ends with the test. */
export async function startRegistry(t: TestContext, options: { htpasswd?: string } = {}): Promise<TestRegistry> {
  const folder = mkdtempSync(join(tmpdir(), "peapod-registry-"));
  const host = `127.0.0.1:${await freePort()}`;
  const passwords = join(folder, "htpasswd");
  if (options.htpasswd !== undefined) writeFileSync(passwords, `${options.htpasswd}\n`);
  const auth = options.htpasswd === undefined ? "" : `auth:\n  htpasswd:\n    realm: test\n    path: ${passwords}\n`;
  const config = join(folder, "config.yml");
  writeFileSync(
    config,
    `version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: ${folder}/data\n  delete:\n    enabled: true\nhttp:\n  addr: ${host}\n${auth}`,
  );
  let child: ChildProcess | undefined;
  let exited: Promise<void> = Promise.resolve();
  const stop = async (): Promise<void> => {
    child?.kill("SIGKILL");
    await exited;
  };
  const start = async (): Promise<void> => {
    const started = spawn("docker-registry", ["serve", config], { stdio: "ignore" });
    child = started;
    exited = new Promise((resolve) => started.once("exit", () => resolve()));
    await eventually(async () => [200, 401].includes((await fetch(`http://${host}/v2/`)).status), { withinMs: 10_000, everyMs: 50 });
  };
  t.after(async () => {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  });
  await start();
  return { host, stop, start };
}

/** A line of an htpasswd file, by Debian's own htpasswd. */
export async function htpasswdLine(user: string, password: string): Promise<string> {
  return (await run("htpasswd", ["-nbB", user, password], { signal: AbortSignal.timeout(10_000) })).stdout.trim();
}
