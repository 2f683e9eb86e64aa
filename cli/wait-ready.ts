import { events, type Pod, pods } from "@peapod/api";
import type { HttpClient } from "@peapod/client";
import { abortAfter, delay } from "@peapod/kit";
import { placeOf } from "./object-name.ts";
import { exitCodes } from "./cli-error.ts";
import { followObject } from "./follow-object.ts";
import { logLines } from "./log-lines.ts";
import { podNotes } from "./pod-notes.ts";
import { containerStatusText, isReady, podStatusText } from "./pod-status.ts";
import type { Terminal } from "./terminal.ts";

export interface WaitReadyOptions {
  readonly terminal: Terminal;
  readonly withinMs: number;
  /** Ids of containers that are about to be replaced: a pod that still has one is not the one that was asked for. */
  readonly replaced: ReadonlySet<string>;
}

/** So long a pod must stay ready: a program that fails at once does so by then. */
const STAYS_READY_MS = 300;

/** Waiting for these is in vain: the manifest must change first. */
const hopeless = new Set(["InvalidImageName", "ErrImageNeverPull"]);
const LAST_EVENTS = 5;
const LAST_LINES = 10;

/** Waits until every pod is ready or has succeeded. Gives the exit code; a failure is reported with what the pods say of it. */
export async function waitReady(
  client: HttpClient,
  wanted: readonly Pod[],
  options: WaitReadyOptions,
  signal: AbortSignal,
): Promise<number> {
  const { terminal, withinMs } = options;
  const deadline = abortAfter(withinMs);
  const outcomes = await Promise.all(wanted.map((pod) => waitOne(client, pod, options, { deadline, signal })));
  for (const [index, outcome] of outcomes.entries()) {
    const pod = wanted[index];
    if (pod === undefined) continue;
    if (outcome === undefined) terminal.line(`pod/${pod.metadata.name} ready`);
    else await report(client, pod, outcome, { terminal, signal });
  }
  return outcomes.every((outcome) => outcome === undefined) ? exitCodes.success : exitCodes.failure;
}

/** Undefined once it is ready; else why it will not be. */
async function waitOne(
  client: HttpClient,
  pod: Pod,
  { terminal, withinMs, replaced }: WaitReadyOptions,
  { deadline, signal }: { deadline: AbortSignal; signal: AbortSignal },
): Promise<string | undefined> {
  let before: Pod | undefined;
  try {
    for await (const current of followObject(client, pods, placeOf(pod), AbortSignal.any([signal, deadline]))) {
      if (current === undefined || current.metadata.uid !== pod.metadata.uid) return "was deleted";
      if (isNewReady(current, replaced) && (await staysReady(client, current, AbortSignal.any([signal, deadline])))) return undefined;
      if (current.status?.phase === "Succeeded") return undefined;
      if (current.status?.phase === "Failed") return "failed";
      for (const { level, container, text } of podNotes(before, current)) {
        const name = container === undefined ? "" : `, container ${container}`;
        if (level === "trouble") terminal.note(terminal.paintNote("yellow", `* pod/${pod.metadata.name}${name}: ${text}`));
      }
      const reason = current.status?.containerStatuses?.map(({ state }) => state?.waiting?.reason).find((word) => hopeless.has(word ?? ""));
      if (reason !== undefined) return `cannot become ready: ${reason}`;
      before = current;
    }
  } catch (cause) {
    if (signal.aborted || !deadline.aborted) throw cause;
  }
  return `is not ready after ${Math.round(withinMs / 1000)} s`;
}

function isNewReady(pod: Pod, replaced: ReadonlySet<string>): boolean {
  return isReady(pod) && !(pod.status?.containerStatuses ?? []).some(({ containerID }) => replaced.has(containerID ?? ""));
}

/** Whether the same containers are still ready a moment later. */
async function staysReady(client: HttpClient, pod: Pod, signal: AbortSignal): Promise<boolean> {
  await delay(STAYS_READY_MS, signal);
  const later = await client.get(pods, placeOf(pod), signal);
  const ids = ({ status }: Pod): string => String(status?.containerStatuses?.map(({ containerID }) => containerID));
  return isReady(later) && ids(later) === ids(pod);
}

/** What is known of a pod that did not come up: its containers, its last events, and the last lines of what ended. */
async function report(
  client: HttpClient,
  wanted: Pod,
  what: string,
  { terminal, signal }: { terminal: Terminal; signal: AbortSignal },
): Promise<void> {
  const { items } = await client.list(
    pods,
    { namespace: wanted.metadata.namespace ?? "default", fieldSelector: `metadata.name=${wanted.metadata.name}` },
    signal,
  );
  const pod = items[0];
  terminal.note(
    `${terminal.paintNote("red", `pod/${wanted.metadata.name} ${what}`)}${pod === undefined ? "" : ` (${podStatusText(pod)})`}`,
  );
  if (pod === undefined) return;
  for (const status of pod.status?.containerStatuses ?? []) {
    const ended = status.state?.terminated ?? status.lastState?.terminated;
    const detail =
      status.state?.waiting?.message ?? ended?.message ?? (ended === undefined ? undefined : `it exited with ${ended.exitCode}`);
    terminal.note(
      `  container ${status.name}: ${containerStatusText(status)}${detail === undefined || detail === "" ? "" : `: ${detail}`}`,
    );
    if (ended === undefined || ended.exitCode === 0) continue;
    try {
      for await (const { bytes } of logLines(client, placeOf(pod), { container: status.name, tailLines: LAST_LINES }, signal))
        terminal.note(`    ${bytes.toString("utf8").trimEnd()}`);
    } catch {
      signal.throwIfAborted(); // its log is gone, and that is not what is reported here
    }
  }
  const list = await client.list(events, { namespace: pod.metadata.namespace ?? "default" }, signal);
  const warnings = list.items
    .filter(({ type, involvedObject }) => type === "Warning" && involvedObject.uid === pod.metadata.uid)
    .slice(-LAST_EVENTS);
  for (const { reason, message } of warnings) terminal.note(`  ${reason}: ${message}`);
}
