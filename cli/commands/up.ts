import { type Pod, pods } from "@peapod/api";
import { abortAfter } from "@peapod/kit";
import { type Applied, applyObject, inOrder, replacedContainers } from "../apply.ts";
import { nameOf } from "../object-name.ts";
import { exitCodes } from "../cli-error.ts";
import type { Invocation } from "../command.ts";
import { connect, type Connection } from "../connection.ts";
import { deleteAndWait } from "../delete-object.ts";
import { parseManifest, requireObjects } from "../manifest.ts";
import { readSources } from "../manifest-source.ts";
import { PodSession, type PodOutcome } from "../pod-session.ts";
import { showPulls } from "../pull-view.ts";
import { waitReady } from "../wait-ready.ts";

const READY_WITHIN_SECONDS = 300;

/** `peapod up`: applies a manifest and shows its pods until they end, or with -d until they are ready. */
export async function up(invocation: Invocation): Promise<number> {
  const { flags, positionals, terminal, signal, interrupts } = invocation;
  const sources = await readSources([...flags.list("file"), ...positionals], signal);
  const isCluster = flags.string("kubeconfig") !== undefined || flags.string("context") !== undefined;
  const objects = requireObjects(parseManifest(sources, { forEngine: !isCluster }));
  using connection = await connect(invocation, { start: true });
  const progress = new AbortController();
  const pulls = showPulls(connection.client, terminal, AbortSignal.any([signal, progress.signal]));
  const applied: Applied[] = [];
  try {
    for (const item of inOrder(objects)) applied.push(await apply(connection, invocation, item));
    const changed = applied.filter(({ resource }) => resource.kind === pods.kind);
    const running = changed.map(({ object }) => object as Pod); // of that kind
    if (running.length === 0) return exitCodes.success;
    if (flags.boolean("detach")) {
      const withinMs = (flags.number("timeout") ?? READY_WITHIN_SECONDS) * 1000;
      return await waitReady(
        connection.client,
        running,
        { terminal, withinMs, replaced: new Set(changed.flatMap(replacedContainers)) },
        signal,
      );
    }
    const outcome = await show(connection, invocation, running, applied);
    return outcome === "failed" ? exitCodes.failure : exitCodes.success;
  } catch (cause) {
    // What failed halfway leaves nothing of its own behind; with -d what is applied stays, as kubectl would leave it.
    if (!flags.boolean("detach")) await cleanUp(connection, invocation, applied, interrupts.second);
    throw cause;
  } finally {
    progress.abort();
    await pulls;
  }
}

async function apply(connection: Connection, { terminal, signal }: Invocation, item: Parameters<typeof applyObject>[1]): Promise<Applied> {
  const options = {
    namespace: connection.namespace,
    onWarning: (text: string) => terminal.warn(`${nameOf(item)}: ${text}`),
    onRecreate: (name: string, why: string) => terminal.note(`${name}: ${why}, so it is deleted and created anew`),
  };
  const done = await applyObject(connection.client, item, options, signal);
  terminal.note(terminal.paintNote("dim", `${nameOf(done)} ${done.action}`));
  return done;
}

/** Shows the pods until they end or the user asks to, then deletes what this command created. */
async function show(
  connection: Connection,
  invocation: Invocation,
  running: readonly Pod[],
  applied: Applied[],
): Promise<"succeeded" | "failed"> {
  const { interrupts, terminal, flags } = invocation;
  // While the containers are being stopped their last words are shown too.
  const stop = new AbortController();
  const session = new PodSession(
    { client: connection.client, pods: running, terminal, timestamps: flags.boolean("timestamps") },
    AbortSignal.any([interrupts.second, stop.signal]),
  );
  try {
    const outcomes = await Promise.race([session.ended, aborted(invocation.signal)]);
    const own = applied.filter(isOwn).map(({ object }) => object.metadata.uid);
    if (outcomes === undefined && own.length > 0)
      terminal.note(`\nStopping what this command started; Ctrl-C again to stop without waiting`);
    await cleanUp(connection, invocation, applied, interrupts.second);
    applied.length = 0; // nothing is left to clean up, whatever comes now
    await Promise.race([session.untilGone(own), aborted(interrupts.second)]); // those that were there before go on
    invocation.signal.throwIfAborted();
    return (outcomes ?? []).some((outcome: PodOutcome) => outcome === "failed") ? "failed" : "succeeded";
  } finally {
    stop.abort();
    await session.closed;
  }
}

async function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return undefined;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  signal.addEventListener("abort", () => resolve(undefined), { once: true });
  return await promise;
}

function isOwn({ action }: Applied): boolean {
  return action === "created" || action === "recreated";
}

/** Deletes what this command created, what uses the rest first. A second interrupt kills without waiting. */
async function cleanUp(connection: Connection, { terminal }: Invocation, applied: readonly Applied[], hurry: AbortSignal): Promise<void> {
  const own = applied.filter(isOwn);
  const groups = Map.groupBy(inOrder(own).toReversed(), ({ resource }) => resource.kind);
  for (const group of groups.values()) {
    await Promise.all(
      group.map(async (item) => {
        const { uid } = item.object.metadata;
        const only = uid === undefined ? {} : { uid };
        try {
          await deleteAndWait(connection.client, item, only, hurry);
        } catch (cause) {
          if (!hurry.aborted) throw cause;
          await deleteAndWait(connection.client, item, { ...only, gracePeriodSeconds: 0 }, abortAfter(10_000));
        }
        terminal.note(terminal.paintNote("dim", `${nameOf(item)} deleted`));
      }),
    );
  }
  const kept = applied.filter((item) => !own.includes(item)).map(nameOf);
  if (kept.length > 0) terminal.note(`Left as they were before: ${kept.join(", ")}`);
}
