import { namespaces, type Pod, pods } from "@peapod/api";
import { ApiError, KubeconfigError } from "@peapod/client";
import { abortAfter } from "@peapod/kit";
import { CliError, exitCodes } from "../cli-error.ts";
import type { Invocation } from "../command.ts";
import { commands } from "../commands.ts";
import { withFlags } from "../config.ts";
import { connect, type Connection } from "../connection.ts";
import { fieldWords } from "../field-words.ts";
import { type CompletionPlan, planCompletion } from "../plan-completion.ts";
import { companionNames } from "./companion.ts";
import { shells } from "./completion.ts";
import { podName } from "./exec.ts";
import { listImages } from "./image.ts";

/** Longer nobody looks at a line that does not move. */
const ASK_WITHIN_MS = 2_000;
type Question = Extract<CompletionPlan, { kind: "ask" }>;

/**
 * `peapod __complete -- WORD...`: what a shell offers for the last word. A line says of what else the shell is to offer its own (`files`,
 * `folders`, `words` for nothing more); each further one is a word, a tab, and what it means. Without an engine, or the right to ask it, none.
 */
export async function complete(invocation: Invocation): Promise<number> {
  const plan = planCompletion(commands, invocation.rest ?? []);
  const { terminal } = invocation;
  const ownOffer = plan.kind === "words" ? "words" : plan.what === "folder" ? "folders" : plan.what.endsWith("file") ? "files" : "words";
  terminal.line(ownOffer);
  if (plan.kind === "words") for (const { word, about } of plan.words) terminal.line(`${word}\t${about}`);
  else {
    const found = (await look(plan, invocation)).filter((word) => word.startsWith(plan.begun));
    for (const word of [...new Set(found)].toSorted()) terminal.line(`${plan.lead}${word}\t`);
  }
  return exitCodes.success;
}

async function look(question: Question, invocation: Invocation): Promise<readonly string[]> {
  switch (question.what) {
    case "companion":
      return companionNames();
    case "field":
      return fieldWords(question.begun);
    case "shell":
      return shells;
    case "container":
    case "image":
    case "namespace":
    case "pod":
    case "pod-or-file":
      return await ask(question, invocation);
    case "file":
    case "folder":
    case "nothing":
      return [];
  }
}

async function ask({ what, command, parsed }: Question, invocation: Invocation): Promise<readonly string[]> {
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
