import type { PodStatus } from "@peapod/api";
import { isAbort, startTimer } from "@peapod/kit";
import { type ErrorCode, hasCode } from "../../errors.ts";
import type { References } from "../decide/environment.ts";
import { execute } from "./execute.ts";
import { keepPod } from "../record/kept-pods.ts";
import type { Action } from "../decide/actions.ts";
import { planPod, podState } from "../decide/plan.ts";
import type { PodSeen } from "../decide/pod-seen.ts";
import type { Places } from "./places.ts";
import { refuseUnfit } from "./refuse-pod.ts";
import type { PodRecord } from "../record/pod-record.ts";
import { readReferences } from "../watch/references.ts";
import { recordEvent, type Services } from "../services.ts";
import { podFullName, podStatus } from "../decide/status.ts";
import { Turn } from "./turn.ts";
import { wantedVolumes, type WantedVolumes } from "./wanted-volumes.ts";

/** A start that takes longer than this is shown as ContainerCreating meanwhile; a faster one spares the write. */
const SHOW_PROGRESS_AFTER_MS = 100;

/** One turn of a pod: look, plan, act, tell. Owns its errors: it rejects only when the signal is aborted. */
export async function runTurn(services: Services, record: PodRecord, engine: AbortSignal): Promise<void> {
  const held: Places[] = [];
  const isWanted = !record.deletion.aborted;
  const late = new AbortController();
  const giveUp = (): void => late.abort(new Error("Removing the pod took too long"));
  using _limit = isWanted ? undefined : startTimer(giveUp, services.removalLimitMs);
  const signal = AbortSignal.any([engine, isWanted ? record.deletion : late.signal]);
  try {
    await refresh(services, record);
    record.tellWatchers();
    if (await refuseUnfit(services, record, signal)) return;
    const inputs = await gather(services, record, signal);
    const turn = new Turn(services, record, inputs, { signal, engine });
    const seen = record.seen(inputs.volumes);
    const actions = allowed(services, record, planPod(turn.pod, seen, services.clock.monotonicMs()), held);
    if (podState(turn.pod, seen) === "terminated") await writeStatus(services, record, signal);
    await act(turn, actions);
    await writeStatus(services, record, signal);
    await keepPod(services, record);
    record.tellWatchers();
    if (record.retryAtMs > services.clock.monotonicMs()) services.notifyAt(record.uid, record.retryAtMs);
    else if (actions.some(leadsOn)) services.notify(record.uid);
  } catch (cause) {
    if (isAbort(cause, engine)) throw cause;
    if (isWanted && isAbort(cause, signal)) return services.notify(record.uid); // it is deleted: another plan is due
    services.log.error("pod turn failed", { pod: record.name, uid: record.uid, error: cause });
    record.failed(services.clock);
    services.notifyAt(record.uid, record.retryAtMs);
  } finally {
    for (const places of held) places.leave(record.uid);
  }
}

/** The actions that wait for a place: what is costly to the machine, or goes with it. */
const costly: { readonly [K in Action["kind"]]?: keyof Services["places"] } = {
  "create-sandbox": "start",
  "attach-network": "start",
  "set-up-volumes": "start",
  "start-container": "start",
  "tear-down": "removal",
};

/**
 * What of a plan may be done now; notes in `held` whose place it has. Where many pods start or go, only some do at once, and the others make a
 * new plan when there is a place: all together they would be no faster, and hold up whatever else the machine and the API are asked for.
 */
function allowed({ places }: Services, { uid }: PodRecord, actions: readonly Action[], held: Places[]): readonly Action[] {
  const refused = new Set<Places>();
  const wanted = new Set(actions.map(({ kind }) => costly[kind]));
  for (const name of ["start", "removal"] as const) {
    if (!wanted.has(name)) places[name].leave(uid);
    else if (places[name].enter(uid)) held.push(places[name]);
    else refused.add(places[name]);
  }
  return actions.filter(({ kind }) => {
    const name = costly[kind];
    return name === undefined || !refused.has(places[name]);
  });
}

/** Whether there may be more to do at once after an action. */
function leadsOn({ kind }: Action): boolean {
  return kind !== "wait" && kind !== "kill-container" && kind !== "delete-object";
}

async function act(turn: Turn, actions: readonly Action[]): Promise<void> {
  if (!actions.some(({ kind }) => kind === "start-container")) return execute(turn, actions);
  const done = new AbortController();
  const progress = showProgress(turn, AbortSignal.any([turn.signal, done.signal]));
  try {
    await execute(turn, actions);
  } finally {
    done.abort();
    await progress;
  }
}

async function showProgress({ services, record, signal }: Turn, done: AbortSignal): Promise<void> {
  try {
    await services.clock.sleep(SHOW_PROGRESS_AFTER_MS, done);
    await writeStatus(services, record, signal);
  } catch (cause) {
    if (!isAbort(cause, done)) services.log.warn("status not written", { pod: record.name, error: cause });
  }
}

/** Looks again at the containers and sandboxes that a notice named. */
async function refresh({ runtime, clock }: Services, record: PodRecord): Promise<void> {
  const look = record.lookBegins();
  for (const id of look.sandboxes) record.sandboxes.looked(id, await unlessGone(runtime.podSandboxStatus(id), "SANDBOX_NOT_FOUND"));
  await Promise.all(
    [...look.containers].map(async (id) => {
      const container = await unlessGone(runtime.containerStatus(id), "CONTAINER_NOT_FOUND");
      if (container === undefined) record.containers.lost(id, clock);
      else if (record.containers.get(id) !== undefined) record.containers.looked(container, clock);
    }),
  );
}

async function unlessGone<T>(look: Promise<T>, code: ErrorCode): Promise<T | undefined> {
  try {
    return await look;
  } catch (cause) {
    if (hasCode(cause, code)) return undefined;
    throw cause;
  }
}

interface Inputs {
  readonly references: References;
  readonly volumePlans: WantedVolumes | undefined;
  readonly volumes: PodSeen["volumes"];
}

const NO_REFERENCES: References = { configMaps: new Map(), secrets: new Map() };

async function gather(services: Services, record: PodRecord, signal: AbortSignal): Promise<Inputs> {
  const pod = record.wanted;
  const present = record.volumes.made === undefined ? "missing" : "ready";
  if (pod === undefined || podState(pod, record.seen(present)) !== "wanted")
    return { references: NO_REFERENCES, volumePlans: undefined, volumes: present };
  const references = await readReferences(services.client, pod, signal);
  const volumePlans = wantedVolumes(pod, references);
  const known = record.volumes.made;
  // A pod of which nothing runs starts with all of its volumes; one that runs goes on with what it has.
  const lacking = [...volumePlans.problems].flatMap(([name, problem]) => (known?.has(name) === true ? [] : [problem]));
  if (lacking.length > 0 && !record.containers.isRunning) return { references, volumePlans, volumes: { problems: lacking } };
  tellVolumeProblems(services, record, volumePlans);
  const isStale = [...volumePlans.plans].some(([name, { digest }]) => known?.get(name)?.digest !== digest);
  return { references, volumePlans, volumes: known === undefined ? "missing" : isStale ? "stale" : "ready" };
}

/** Tells once what keeps a volume as it is. */
function tellVolumeProblems(services: Services, record: PodRecord, { problems }: WantedVolumes): void {
  for (const problem of record.volumes.problemsFound(problems.values())) recordEvent(services, record, "Warning", "FailedMount", problem);
}

async function writeStatus(services: Services, record: PodRecord, signal: AbortSignal): Promise<void> {
  const pod = record.wanted;
  if (pod === undefined || record.isObjectDeleted || record.isTornDown) return;
  const previous = knownStatus(record);
  const status = podStatus(pod, record.seen(record.volumes.made === undefined ? "missing" : "ready"), previous, {
    hostIP: services.network.hostIP,
    podIP: record.sandboxes.address?.ip,
    runtimeName: services.runtime.version.split("://")[0] ?? "",
    images: imagesOf(record),
    nowMs: services.clock.nowMs(),
    monotonicMs: services.clock.monotonicMs(),
  });
  tellBackoffs(services, record, status);
  await services.statusWriter.write(record, status, signal);
}

/** What was last written, with the conditions that others have set since. */
function knownStatus(record: PodRecord): PodStatus {
  const types = new Set((record.status.conditions ?? []).map(({ type }) => type));
  const foreign = (record.pod?.status?.conditions ?? []).filter(({ type }) => !types.has(type));
  return foreign.length === 0 ? record.status : { ...record.status, conditions: [...(record.status.conditions ?? []), ...foreign] };
}

function imagesOf(record: PodRecord): ReadonlyMap<string, { image: string; imageId: string }> {
  return new Map(record.containers.all.map(({ id, image, imageId }) => [id, { image, imageId }]));
}

function tellBackoffs(services: Services, record: PodRecord, status: PodStatus): void {
  for (const { name, state, restartCount } of status.containerStatuses ?? []) {
    if (state?.waiting?.reason !== "CrashLoopBackOff") continue;
    const before = record.status.containerStatuses?.find((other) => other.name === name);
    if (before?.state?.waiting?.reason === "CrashLoopBackOff" && before.restartCount === restartCount) continue;
    if (record.pod === undefined) continue;
    recordEvent(
      services,
      record,
      "Warning",
      "BackOff",
      `Back-off restarting failed container ${name} in pod ${podFullName(record.pod)}`,
      name,
    );
  }
}
