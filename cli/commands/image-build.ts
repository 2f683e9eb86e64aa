import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { CommandError, isErrno, run } from "@peapod/kit";
import { CliError, exitCodes, usageError } from "../cli-error.ts";
import type { Invocation } from "../command.ts";

const builder = fileURLToPath(new URL("../../companions/image/main.ts", import.meta.url));
const BUILDER_USAGE = 64;

/** `peapod image build COMPANION`: makes a companion's image for a registry, the same that the engine makes for itself. Needs no engine. */
export async function build(invocation: Invocation): Promise<number> {
  const { positionals, flags, terminal, signal } = invocation;
  const [companion, ...more] = positionals;
  if (companion === undefined || more.length > 0) throw usageError("Name one companion, such as ambassador");
  const [output, push] = [flags.string("output"), flags.string("push")];
  if ((output === undefined) === (push === undefined)) throw usageError("Say where the image goes: --output FILE, or --push IMAGE");
  const work = await mkdtemp(join(tmpdir(), "peapod-image-"));
  try {
    const archive = output === undefined ? join(work, "image.tar") : resolve(output);
    const name = flags.string("name") ?? push ?? `peapod.local/${companion}:latest`;
    await make([companion, "--archive", archive, "--name", name], invocation);
    if (push !== undefined) await pushArchive(archive, push, invocation);
    terminal.line(push ?? archive);
    return exitCodes.success;
  } finally {
    terminal.show([]);
    await rm(work, { recursive: true, force: true });
    signal.throwIfAborted();
  }
}

async function make(args: readonly string[], { terminal, signal }: Invocation): Promise<void> {
  const onStderr = (text: string): void => terminal.show([`  ${text.trim().split("\n").at(-1) ?? ""}`]);
  try {
    await run(process.execPath, [builder, ...args], { signal, onStderr });
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause;
    const reason = cause.stderr.trim().split("\n").at(-1) ?? cause.message;
    throw new CliError(reason, { cause, exitCode: cause.exitCode === BUILDER_USAGE ? exitCodes.usage : exitCodes.failure });
  }
}

/** With the logins of Docker and Podman, as skopeo finds them; plain HTTP only to this machine itself. */
async function pushArchive(archive: string, image: string, { terminal, signal }: Invocation): Promise<void> {
  terminal.show([`  Pushing to ${image}`]);
  const isLoopback = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?\//.test(image);
  const tls = isLoopback ? ["--dest-tls-verify=false"] : [];
  // The policy is about signatures of what comes from elsewhere; this image was made here.
  const args = ["--insecure-policy", "copy", "--quiet", ...tls, `oci-archive:${archive}`, `docker://${image}`];
  try {
    await run("skopeo", args, { signal });
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause;
    const isMissing = isErrno(cause.cause, "ENOENT");
    const reason = /msg="((?:[^"\\]|\\.)*)"/.exec(cause.stderr)?.[1]?.replaceAll('\\"', '"') ?? cause.stderr.trim();
    throw new CliError(isMissing ? "skopeo is not installed; install it: apt-get install skopeo" : `Cannot push to ${image}: ${reason}`, {
      cause,
    });
  }
}
