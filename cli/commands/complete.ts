import { exitCodes } from "../cli-error.ts";
import type { Command, Invocation } from "../command.ts";
import { planCompletion, type Question } from "../plan-completion.ts";
import { companionNames } from "./companion.ts";
import { shells } from "./completion.ts";

/**
 * `peapod __complete -- WORD...`: what a shell offers for the last word. A line says of what else the shell is to offer its own (`files`,
 * `folders`, `words` for nothing more); each further one is a word, a tab, and what it means. Without an engine, or the right to ask it, none.
 */
export async function complete(commands: readonly Command[], invocation: Invocation): Promise<number> {
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

/** Loads what the question needs and no more: a key was pressed. */
async function look(question: Question, invocation: Invocation): Promise<readonly string[]> {
  switch (question.what) {
    case "companion":
      return companionNames();
    case "field":
      return (await import("../field-words.ts")).fieldWords(question.begun);
    case "shell":
      return shells;
    case "container":
    case "image":
    case "namespace":
    case "pod":
    case "pod-or-file":
      return await (await import("../ask-server.ts")).askServer(question, invocation);
    case "file":
    case "folder":
    case "nothing":
      return [];
  }
}
