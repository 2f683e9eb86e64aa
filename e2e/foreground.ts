import { spawn } from "node:child_process";

/** A command in the foreground, as in a terminal of its own. */
export interface Foreground {
  /** Both of its outputs so far. */
  said(): string;
  /** Ctrl-C. */
  interrupt(): void;
  readonly ended: Promise<number | null>;
}

/** Starts a command as a shell does for its user: in a process group of its own, which an interrupt reaches as a whole. */
export function foreground(command: string, args: readonly string[], env: Readonly<Record<string, string>>): Foreground {
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const { promise, resolve } = Promise.withResolvers<number | null>();
  child.once("error", (cause) => {
    text += cause.message;
    resolve(null);
  });
  child.once("close", resolve);
  return {
    said: () => text,
    interrupt: () => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGINT");
    },
    ended: promise,
  };
}
