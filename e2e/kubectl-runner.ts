import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { Outcome, TestEngine, TestScope } from "./engine-fixture.ts";
import { IMAGE } from "./pods.ts";

/** The kubectls that the tests drive an engine with. */
export const versions = ["v32", "v35"] as const;
export type KubectlVersion = (typeof versions)[number];

/** One kubectl in a namespace of its own. */
export interface Kubectl {
  readonly version: KubectlVersion;
  readonly namespace: string;
  /** The binary, for a script that calls it. */
  readonly binary: string;
  /** Runs it to its end; never throws for an exit code. */
  readonly outcome: (args: readonly string[], input?: string) => Promise<Outcome>;
  /** Its output; throws when it exits with anything but 0. */
  readonly says: (args: readonly string[], input?: string) => Promise<string>;
  /** Fails unless it exits with other than 0 and says this on standard error. */
  readonly refuses: (args: readonly string[], want: RegExp, input?: string) => Promise<void>;
  /** Runs a shell command in which `$KUBECTL` is this one; in a terminal, if asked. */
  readonly script: (command: string, options?: { terminal?: boolean }) => Promise<Outcome>;
  /** Starts it and lets it run until it ends, or the test does. */
  readonly background: (...args: readonly string[]) => Background;
}

/** A kubectl that runs beside the test. */
export interface Background {
  said(): string;
  readonly ended: Promise<number | null>;
  /** Ends it at once, as a terminal that is closed does. */
  stop(): void;
}

/** A kubectl of this version, in a namespace of its own on this engine, which has the tests' image. */
export async function kubectlOf(t: TestScope, engine: TestEngine, version: KubectlVersion): Promise<Kubectl> {
  const binary = `/var/cache/peapod-tools/kubectl-${version}/kubectl`;
  const namespace = `test-${version}`;
  await engine.peapod("image", "pull", IMAGE);
  await engine.kubectl("create", "namespace", namespace);
  const place = ["--namespace", namespace];
  const outcome: Kubectl["outcome"] = (args, input) =>
    engine.command(binary, [...place, ...args], { timeoutMs: 25_000, ...(input === undefined ? {} : { input }) });
  return {
    version,
    namespace,
    binary,
    outcome,
    says: async (args, input) => {
      const { exitCode, stdout, stderr } = await outcome(args, input);
      assert.equal(exitCode, 0, `kubectl ${args.join(" ")}: ${stdout.slice(-1_000)}${stderr}`);
      return stdout;
    },
    refuses: async (args, want, input) => {
      const { exitCode, stdout, stderr } = await outcome(args, input);
      assert.notEqual(exitCode, 0, `kubectl ${args.join(" ")} went well: ${stdout}`);
      assert.match(stderr, want);
    },
    script: (command, options = {}) => {
      const whole = `KUBECTL="${binary} ${place.join(" ")}"; ${command}`;
      return options.terminal === true
        ? engine.command("script", ["--quiet", "--return", "--command", `sh -c '${whole.replaceAll("'", String.raw`'\''`)}'`, "/dev/null"])
        : engine.command("sh", ["-c", whole]);
    },
    background: (...args) => {
      const child = spawn(binary, [...place, ...args], { env: engine.environment, stdio: ["ignore", "pipe", "pipe"] });
      let text = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
      const { promise, resolve } = Promise.withResolvers<number | null>();
      child.once("error", (cause) => {
        text += cause.message;
        resolve(null);
      });
      child.once("close", resolve);
      t.after(async () => {
        child.kill();
        await promise;
      });
      return { said: () => text, ended: promise, stop: () => void child.kill("SIGKILL") };
    },
  };
}
