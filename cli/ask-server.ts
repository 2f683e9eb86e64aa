import { namespaces, type Pod, pods } from "@peapod/api";
import { ApiError, KubeconfigError } from "@peapod/client";
import { abortAfter } from "@peapod/kit";
import { CliError } from "./cli-error.ts";
import type { Invocation } from "./command.ts";
import { podName } from "./commands/exec.ts";
import { listImages } from "./commands/image.ts";
import { withFlags } from "./config.ts";
import { connect, type Connection } from "./connection.ts";
import type { Question } from "./plan-completion.ts";

/** Longer nobody looks at a line that does not move. */
const ASK_WITHIN_MS = 2_000;

/** Asks the server that the command line so far names; nothing where there is none, or it does not answer soon. */
export async function askServer({ what, command, parsed }: Question, invocation: Invocation): Promise<readonly string[]> {
  const signal = AbortSignal.any([invocation.signal, abortAfter(ASK_WITHIN_MS)]);
  const asked: Invocation = { ...invocation, ...parsed, config: withFlags(invocation.config, command, parsed), signal };
  try {
    using connection = await connect(asked);
    if (what === "image") return (await listImages(connection, signal)).flatMap(({ repoTags }) => repoTags);
    if (what === "namespace")
      return (await connection.client.list(namespaces, {}, signal)).items.map(({ metadata }) => metadata.name ?? "");
    const found = await podsOf(connection, what === "container" ? parsed.positionals[0] : undefined, signal);
    return found.flatMap((pod) => (what === "container" ? containersOf(pod) : [pod.metadata.name ?? ""]));
  } catch (cause) {
    if (cause instanceof CliError || cause instanceof ApiError || cause instanceof KubeconfigError || signal.aborted) return [];
    throw cause;
  }
}

/** The one that is named, if it is there; without a name all of the namespace. */
async function podsOf({ client, namespace }: Connection, name: string | undefined, signal: AbortSignal): Promise<readonly Pod[]> {
  if (name === undefined) return (await client.list(pods, { namespace }, signal)).items;
  return [await client.get(pods, { namespace, name: podName(name) }, signal)];
}

function containersOf({ spec }: Pod): string[] {
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].map(({ name }) => name);
}
