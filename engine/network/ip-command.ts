import { spawn } from "node:child_process";
import { EngineError } from "../errors.ts";

const TIMEOUT_MS = 20_000;

/**
 * Runs lines of ip(8) in one process, `ip -batch -`; the first that fails ends it. Throws NETWORK_FAILED with ip's words.
 * It is not ended early, so that nobody has to guess how far it came: it takes milliseconds.
 */
export function runIpBatch(doing: string, lines: readonly string[]): Promise<void> {
  return runProgram("ip", ["-batch", "-"], { doing, input: `${lines.join("\n")}\n` }).then(() => {});
}

/** Runs ip(8) for its JSON output; "" where there is nothing to show. Throws NETWORK_FAILED. */
export function readIp(doing: string, args: readonly string[]): Promise<string> {
  return runProgram("ip", ["-json", ...args], { doing });
}

/** Runs a short-lived program and gives what it wrote. Throws NETWORK_FAILED with its words; MACHINE_LACKS where there is none. */
export function runProgram(program: string, args: readonly string[], options: { doing: string; input?: string }): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], timeout: TIMEOUT_MS, killSignal: "SIGKILL" });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on("error", () => {}); // a program that stopped reading says why by its exit code
  child.once("error", (cause) => {
    reject(new EngineError("MACHINE_LACKS", `${options.doing}: cannot run ${program}; install it`, { cause }));
  });
  child.once("close", (exitCode, signal) => {
    if (exitCode === 0) return resolve(Buffer.concat(stdout).toString("utf8"));
    const said = Buffer.concat(stderr).toString("utf8").trim().replaceAll("\n", "; ").slice(0, 1000);
    const how = exitCode === null ? `was ended by ${signal}` : `exited with ${exitCode}`;
    reject(new EngineError("NETWORK_FAILED", `${options.doing}: ${program} ${how}${said === "" ? "" : `: ${said}`}`));
  });
  child.stdin.end(options.input ?? "");
  return promise;
}
