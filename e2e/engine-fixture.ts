import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { CommandError, eventually, run } from "@peapod/kit";
import { assertNothingLeft } from "./leaks.ts";

/** The launcher, as a user calls it. */
export const peapod: string = fileURLToPath(new URL("../peapod", import.meta.url));

/** A real kubectl, fetched by tools/fetch-kubectl.ts. */
export const KUBECTL = "/var/cache/peapod-tools/kubectl-v32/kubectl";

/** What a fixture needs of the test it belongs to. */
export type TestScope = Pick<TestContext, "after" | "signal">;

/**
 * A test's scope whose releases run last first: node's own run first first, which takes the ground from under what stands on it.
 * For a test with several fixtures that need each other.
 */
export function inReverse(t: TestContext): TestScope {
  const stack = new AsyncDisposableStack();
  t.after(() => stack.disposeAsync());
  return {
    signal: t.signal,
    after: (release) =>
      stack.defer(async () => {
        await release?.call(t, t, () => {});
      }),
  };
}

/** Where tests keep state: overlayfs cannot lie on overlayfs, and this is a real directory wherever engines run. */
const PLACE = "/var/lib/peapod";

/** What a finished command said and how it ended. */
export interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** An engine of a test's own, driven from outside. */
export interface TestEngine {
  readonly stateDir: string;
  readonly runDir: string;
  /** The environment that points a peapod or kubectl command at this engine. */
  readonly environment: Readonly<Record<string, string>>;
  readonly kubeconfig: string;
  /** The engine's id, from its state directory. */
  readonly engineId: () => string;
  readonly pid: () => number;
  /** Runs a peapod command to its end; throws when it exits with anything but 0. */
  peapod(...args: readonly string[]): Promise<string>;
  /** Runs any command to its end, with this engine's environment; never throws for an exit code. */
  command(command: string, args: readonly string[], options?: { input?: string; timeoutMs?: number }): Promise<Outcome>;
  /** Runs the test's kubectl; throws when it exits with anything but 0. */
  kubectl(...args: readonly string[]): Promise<string>;
  /** Applies a manifest given as text. */
  apply(manifest: string): Promise<string>;
  /** Ends the engine at once, as the kernel would. */
  kill(): Promise<void>;
  /** Ends the engine with SIGTERM. */
  stop(): Promise<void>;
  /**
   * Starts it (again), with more in its environment; `closeLog`: nobody reads what it says once it serves; `until`: the path that it answers
   * when it is there, /readyz unless something is wrong on purpose.
   */
  start(more?: Readonly<Record<string, string>>, given?: { readonly closeLog?: boolean; readonly until?: string }): Promise<void>;
  /** Writes a file into the test's own folder; gives its path. */
  file(name: string, content: string): string;
}

export interface EngineFixtureOptions {
  /** The path of a network namespace in which the engine, and every command, runs. */
  readonly netns?: string;
  /** More flags for `peapod serve`. */
  readonly flags?: readonly string[];
  /** A state directory of the test's own, which it removes. */
  readonly stateDir?: string;
  /** More environment. */
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Starts an engine with directories and a port of its own. When the test ends, deletes every pod, stops the engine and
 * fails the test if anything of it is left on the machine.
 */
export async function startEngine(t: TestScope, options: EngineFixtureOptions = {}): Promise<TestEngine> {
  mkdirSync(PLACE, { recursive: true, mode: 0o700 });
  const folder = mkdtempSync(join(PLACE, "test-"));
  const stateDir = options.stateDir ?? join(folder, "state");
  const runDir = `/run/peapod-${folder.slice(-6)}`;
  const kubeconfig = join(stateDir, "admin.kubeconfig");
  const environment = {
    ...plainEnvironment(),
    PEAPOD_STATE_DIR: stateDir,
    PEAPOD_RUN_DIR: runDir,
    PEAPOD_LISTEN: "127.0.0.1:0",
    KUBECONFIG: kubeconfig,
    ...options.environment,
  };
  const inside = (command: string, args: readonly string[]): [string, string[]] =>
    options.netns === undefined ? [command, [...args]] : ["nsenter", [`--net=${options.netns}`, command, ...args]];
  let child: ChildProcess | undefined;
  let exited: Promise<void> = Promise.resolve();

  const command: TestEngine["command"] = async (name, args, given = {}) => {
    const [program, all] = inside(name, args);
    try {
      const { stdout, stderr } = await run(program, all, {
        signal: t.signal,
        env: environment,
        timeoutMs: given.timeoutMs ?? 60_000,
        limitBytes: 16 * 1024 * 1024,
        ...(given.input === undefined ? {} : { input: given.input }),
      });
      return { exitCode: 0, stdout, stderr };
    } catch (cause) {
      if (cause instanceof CommandError && cause.exitCode !== null)
        return { exitCode: cause.exitCode, stdout: cause.stdout, stderr: cause.stderr };
      throw cause;
    }
  };
  const must = async (name: string, args: readonly string[], input?: string): Promise<string> => {
    const outcome = await command(name, args, input === undefined ? {} : { input });
    if (outcome.exitCode !== 0)
      throw new Error(`${name} ${args.join(" ")} exited with ${outcome.exitCode}: ${outcome.stderr || outcome.stdout}`);
    return outcome.stdout;
  };
  const engine: TestEngine = {
    stateDir,
    runDir,
    environment,
    kubeconfig,
    engineId: () => readFileSync(join(stateDir, "engine-id"), "utf8").trim(),
    pid: () => (JSON.parse(readFileSync(join(runDir, "engine.json"), "utf8")) as { pid: number }).pid, // written by the engine
    peapod: (...args) => must(peapod, args),
    command,
    kubectl: (...args) => must(KUBECTL, args),
    apply: (manifest) => must(KUBECTL, ["apply", "-f", "-"], manifest),
    kill: async () => {
      if (child === undefined) return;
      child.kill("SIGKILL"); // the launcher became the engine
      await exited;
      child = undefined;
    },
    stop: async () => {
      if (child === undefined) return;
      child.kill("SIGTERM");
      await exited;
      child = undefined;
    },
    start: async (more = {}, given = {}) => {
      const log = createWriteStream(join(folder, "engine.log"), { flags: "a" });
      const [program, all] = inside(peapod, ["serve", ...(options.flags ?? [])]);
      const started = spawn(program, all, { env: { ...environment, ...more }, stdio: ["ignore", "pipe", "pipe"] });
      started.stdout.pipe(log, { end: false });
      started.stderr.pipe(log, { end: false });
      child = started;
      const { promise, resolve } = Promise.withResolvers<void>();
      exited = promise;
      started.once("error", () => resolve());
      started.once("exit", () => {
        if (child === started) child = undefined; // a command of the test ended it
        resolve();
      });
      const hasEnded = (): boolean => started.exitCode !== null || started.signalCode !== null;
      await eventually(
        async () => {
          if (hasEnded()) return;
          await must(KUBECTL, ["get", "--raw", given.until ?? "/readyz"]);
        },
        { withinMs: 60_000, everyMs: 50 },
      );
      if (hasEnded())
        throw new Error(`The engine ended with ${started.exitCode}: ${readFileSync(join(folder, "engine.log"), "utf8").slice(-2000)}`);
      if (given.closeLog !== true) return;
      started.stdout.destroy();
      started.stderr.destroy();
    },
    file: (name, content) => {
      const path = join(folder, name);
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, content);
      return path;
    },
  };
  t.after(async () => {
    let engineId = "";
    try {
      if (child === undefined) await engine.start();
      engineId = engine.engineId();
      await must(KUBECTL, ["delete", "pods", "--all", "--all-namespaces", "--grace-period=1", "--timeout=30s"]);
      await engine.stop();
      await assertNothingLeft({ engineId, stateDir, runDir });
    } catch (cause) {
      throw new Error(`Cleaning up failed; the engine said: ${readFileSync(join(folder, "engine.log"), "utf8").slice(-3000)}`, { cause });
    } finally {
      if (child !== undefined) await engine.kill();
      for (const path of [folder, runDir]) removeFolder(path);
    }
  });
  await engine.start();
  return engine;
}

function removeFolder(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // A mount that was left keeps it busy: the failure that names the mount is the one to be seen.
  }
}

/** Tells whether a process is there, and no zombie that nobody has reaped yet. */
export function isAlive(pid: number): boolean {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, "utf8");
    return line.slice(line.lastIndexOf(")") + 2)[0] !== "Z";
  } catch {
    return false; // no such process
  }
}

/** This process's environment without what would point a command elsewhere, or colour it. */
function plainEnvironment(): Record<string, string> {
  const drop = /^(PEAPOD_|KUBECONFIG$|NODE_TEST_|NODE_OPTIONS$|FORCE_COLOR$)/;
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined && !drop.test(entry[0])),
  );
}
