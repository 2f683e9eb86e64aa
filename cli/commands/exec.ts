import { type Pod, pods } from "@peapod/api";
import type { ExecStream } from "@peapod/client";
import { CliError, usageError } from "../cli-error.ts";
import type { Invocation } from "../command.ts";
import { connect } from "../connection.ts";

/** `peapod exec`: runs a command in a container, with this terminal where `-it` asks. Gives the command's exit code. */
export async function exec(invocation: Invocation): Promise<number> {
  const { flags, terminal } = invocation;
  const { pod: given, command } = podAndCommand(invocation);
  const stdin = flags.boolean("stdin");
  const tty = flags.boolean("tty");
  if (tty && stdin && process.stdin.isTTY !== true) throw new CliError("Standard input is no terminal: leave -t out");
  using connection = await connect(invocation);
  const pod = { namespace: connection.namespace, name: podName(given) };
  // With a terminal Ctrl-C is a key for the process in there; without one it ends the connection.
  const signal = tty ? invocation.interrupts.second : invocation.signal;
  const container = flags.string("container") ?? defaultContainer(await connection.client.get(pods, pod, signal));
  const stream = await connection.client.exec(pod, { command, stdin, tty, ...(container === undefined ? {} : { container }) }, signal);
  using _raw = tty && stdin ? rawTerminal(stream) : undefined;
  if (stdin) void sendInput(stream);
  const copies = Promise.all([
    copy(stream.stdout, (chunk) => process.stdout.write(chunk)),
    copy(stream.stderr, (chunk) => process.stderr.write(chunk)),
  ]);
  try {
    const exitCode = await stream.exitCode;
    stream.close(); // the process is done, whatever still holds its output open
    await copies;
    return exitCode;
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw cause;
  } finally {
    terminal.show([]);
    process.stdin.destroy();
  }
}

/** `POD COMMAND...` or `POD -- COMMAND...`. Throws a usage error that shows how to say what was meant. */
export function podAndCommand({ positionals, rest }: Pick<Invocation, "positionals" | "rest">): {
  pod: string;
  command: readonly string[];
} {
  const [pod, ...words] = positionals;
  const command = rest ?? words;
  if (pod === undefined) throw usageError("Name a pod and a command: exec POD -- COMMAND [ARGUMENT...]");
  if (command.length === 0) throw usageError(`Name a command to run in pod "${pod}": exec ${pod} -- COMMAND [ARGUMENT...]`);
  const [first = "", dashes, ...after] = words;
  if (dashes !== "--") return { pod, command };
  const line = after.join(" ") || "COMMAND";
  throw usageError(
    `What is ${first} before the --? A container is named with -c: exec ${pod} -c ${first} -- ${line}; a command stands after it: exec ${pod} -- ${first} ${after.join(" ")}`.trimEnd(),
  );
}

/** People also write `pod/web`. */
export function podName(word: string): string {
  return word.replace(/^pods?\//, "");
}

/** The one that the pod's annotation names, else its first, as with kubectl. */
function defaultContainer(pod: Pod): string | undefined {
  return pod.metadata.annotations?.["kubectl.kubernetes.io/default-container"] ?? pod.spec?.containers[0]?.name;
}

async function copy(from: AsyncIterable<Uint8Array>, write: (chunk: Uint8Array) => boolean): Promise<void> {
  for await (const chunk of from) write(chunk);
}

async function sendInput(stream: ExecStream): Promise<void> {
  try {
    for await (const chunk of process.stdin) await stream.write(chunk as Uint8Array); // no encoding is set: chunks are bytes
    stream.closeStdin();
  } catch {
    // Our own end of it was closed: the process has ended.
  }
}

/** Keys go through as they are, and a changed window is told. Gives the terminal back when disposed of. */
function rawTerminal(stream: ExecStream): Disposable {
  const tell = (): void => stream.resize({ columns: process.stdout.columns ?? 80, rows: process.stdout.rows ?? 24 });
  process.stdin.setRawMode(true);
  process.stdout.on("resize", tell);
  tell();
  return {
    [Symbol.dispose]: () => {
      process.stdout.off("resize", tell);
      process.stdin.setRawMode(false);
    },
  };
}
