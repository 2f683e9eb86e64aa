import { lastingRoles, podContainers, pods } from "@peapod/api";
import { ApiError } from "@peapod/client";
import { isAbort, isErrno, startTimer, untilAborted } from "@peapod/kit";
import { removeTree } from "../../linux/remove-tree.ts";
import type { PodAddress, PortMapping } from "../../network/network.ts";
import type { PodSandbox } from "../../runtime/runtime.ts";
import { podLinuxResources, podLogsPath, rootfsKey } from "../decide/container-config.ts";
import { orAbandoned } from "../abandon.ts";
import { forgetKeptPod } from "../record/kept-pods.ts";
import type { Action } from "../decide/actions.ts";
import { podHostname } from "../decide/pod-files.ts";
import type { PodRecord } from "../record/pod-record.ts";
import { recordEvent, type Services } from "../services.ts";
import { startContainer } from "./start-container.ts";
import { type Given, type Outcome, Steps } from "./steps.ts";
import { told, Turn } from "./turn.ts";

/** Does an action with what it waits for, and nothing else, and gives what it makes. */
type Executor<K extends Action["kind"]> = (turn: Turn, action: Extract<Action, { kind: K }>, given: Given<K>) => Promise<Outcome<K>>;

/** How long a failed kill or pull waits before the plan may ask for it again. */
const KILL_RETRY_MS = 1_000;
/** How long after its grace a container is still being stopped. */
const KILL_LATE_MS = 10_000;

const executors: { readonly [K in Action["kind"]]: Executor<K> } = {
  "create-sandbox": createSandbox,
  "attach-network": attachNetwork,
  "set-up-volumes": setUpVolumes,
  "start-container": startContainer,
  "kill-container": killContainer,
  "remove-container": removeContainer,
  "stop-sandbox": stopSandbox,
  "remove-sandbox": removeSandbox,
  "report-volumes": reportVolumes,
  "release-volumes": releaseVolumes,
  "cancel-pulls": cancelPulls,
  "tear-down": tearDown,
  "delete-object": deleteObject,
  wait: async ({ services, record }, { untilMs }) => services.notifyAt(record.uid, untilMs),
};

/**
 * Does what a plan says: all of its actions at the same time, but for what `order` says that they wait for.
 * What fails for the pod as a whole puts its next turn off; it never rejects but when the signal is aborted.
 */
export async function execute(turn: Turn, actions: readonly Action[]): Promise<void> {
  const steps = new Steps(actions, turn.record);
  const outcomes = await Promise.allSettled(actions.map(async (action) => dispatch(turn, action, steps)));
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome.status === "fulfilled") continue;
    if (isAbort(outcome.reason, turn.signal)) throw outcome.reason;
    turn.services.log.error("action failed", {
      pod: turn.record.name,
      uid: turn.record.uid,
      action: actions[index]?.kind,
      error: outcome.reason,
    });
    turn.hasTrouble = true;
  }
  turn.signal.throwIfAborted();
  if (turn.hasTrouble) turn.record.failed(turn.services.clock);
  else if (actions.some(({ kind }) => kind === "start-container" || kind === "set-up-volumes")) turn.record.wentWell();
}

async function dispatch(turn: Turn, action: Action, steps: Steps): Promise<void> {
  const executor = executors[action.kind] as (turn: Turn, action: Action, given: object) => Promise<unknown>; // the table's type pairs them
  let outcome: unknown;
  try {
    const work = executor(turn, action, steps.given(action.kind));
    outcome = await orAbandoned(work, turn.signal, () => turn.services.inBackground(removeLate(turn)));
  } finally {
    steps.over(action.kind, outcome);
  }
}

/** What hung and came to an end after all may have made something of a pod that is gone by now: all of it is removed once more. Never rejects. */
async function removeLate({ services, record, engine }: Turn): Promise<void> {
  try {
    await untilAborted(record.tornDown, engine);
    engine.throwIfAborted();
    await removeAtOnce(services, record, engine);
  } catch (cause) {
    if (!isAbort(cause, engine)) services.log.warn("what came late was not removed", { pod: record.name, uid: record.uid, error: cause });
  }
}

/** Removes everything of a pod that the API has no more, without grace. Rejects only when the signal is aborted. */
export async function removeAtOnce(services: Services, record: PodRecord, signal: AbortSignal): Promise<void> {
  const inputs = { references: { configMaps: new Map(), secrets: new Map() }, volumePlans: undefined };
  await execute(new Turn(services, record, inputs, { signal, engine: signal }), [{ kind: "tear-down" }]);
}

async function createSandbox(turn: Turn, { attempt }: { attempt: number }): Promise<PodSandbox | undefined> {
  const { services, record, pod } = turn;
  if (pod === undefined) return undefined;
  if (attempt > 0) recordEvent(services, record, "Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
  void turn.podFiles().catch(() => {}); // begun early; a container that needs them hears of their failure
  return told(turn, "FailedCreatePodSandBox", "Failed to create pod sandbox", async () => {
    const sandbox = await services.runtime.runPodSandbox(
      {
        pod: { name: record.name, namespace: record.namespace, uid: record.uid },
        attempt,
        hostname: podHostname(pod),
        shareProcessNamespace: pod.spec?.shareProcessNamespace ?? false,
        resources: podLinuxResources(pod),
        sysctls: Object.fromEntries((pod.spec?.securityContext?.sysctls ?? []).map(({ name, value }) => [name, value])),
      },
      turn.signal,
    );
    record.sandboxes.made(sandbox);
    return sandbox;
  });
}

async function attachNetwork(turn: Turn, _action: unknown, given: Given<"attach-network">): Promise<PodAddress | undefined> {
  const { services, record, signal } = turn;
  const [sandbox, reserved] = await Promise.all([given.sandbox, turn.address()]);
  if (sandbox === undefined || reserved === undefined) return undefined;
  const address = await told(turn, "FailedCreatePodSandBox", "Failed to create pod sandbox: cannot connect its network", async () =>
    services.network.attach(record.uid, sandbox.netnsPath, portMappings(turn), signal),
  );
  if (address === undefined) record.sandboxes.broke(sandbox.id);
  else record.sandboxes.connected(sandbox.id, address);
  return address;
}

/** Makes what is missing, and brings up to date what has changed: each volume for itself. */
async function setUpVolumes(turn: Turn): Promise<ReadonlyMap<string, string> | undefined> {
  const { services, record, volumePlans, signal } = turn;
  if (volumePlans === undefined) return undefined;
  const made = new Map(record.volumes.made);
  let isWhole = true;
  for (const [name, { plan, digest }] of volumePlans.plans) {
    if (made.get(name)?.digest === digest) continue;
    const path = await told(turn, "FailedMount", `MountVolume.SetUp failed for volume "${name}" `, async () =>
      record.volumes.inOrder(async () => services.volumes.setUp(record.uid, name, plan, signal), signal),
    );
    if (path !== undefined) made.set(name, { digest, path });
    else if (!made.has(name)) isWhole = false;
  }
  record.volumes.setUp(made);
  return isWhole ? record.volumes.paths : undefined;
}

/** Begins the kill and leaves it to itself: the pod's next turns must not wait out its grace. */
async function killContainer(turn: Turn, action: Extract<Action, { kind: "kill-container" }>): Promise<void> {
  const { services, record, engine } = turn;
  const { id, name, grace, message } = action;
  if (!record.containers.isBeingKilled(id)) recordEvent(services, record, "Normal", "Killing", message, name);
  const killing = record.containers.killBegins(id, grace.wholeSeconds);
  const end = async (): Promise<void> => {
    try {
      await stopInTime(services, id, grace.leftSeconds, engine);
    } catch (cause) {
      if (isAbort(cause, engine)) return;
      services.log.error("container not stopped", { pod: record.name, container: name, error: cause });
      await services.clock.sleep(KILL_RETRY_MS, engine).catch(() => {}); // only ever aborted
    }
    record.containers.killEnded(id, killing);
    record.hinted({ containerId: id });
    services.notify(record.uid);
  };
  services.inBackground(end());
}

/** A stop that hangs is given up, so that the plan can ask for another. */
async function stopInTime({ runtime }: Services, id: string, graceSeconds: number, engine: AbortSignal): Promise<void> {
  const late = new AbortController();
  using _timer = startTimer(() => late.abort(new Error("It is not stopped long after its grace")), graceSeconds * 1_000 + KILL_LATE_MS);
  const signal = AbortSignal.any([engine, late.signal]);
  await orAbandoned(runtime.stopContainer(id, graceSeconds, signal), signal);
}

async function removeContainer(
  { services, record, signal }: Turn,
  { id, name, attempt }: { id: string; name: string; attempt: number },
): Promise<void> {
  await services.runtime.removeContainer(id, signal);
  await removeRootfs(services, rootfsKey(record.uid, name, attempt), signal);
  const logPath = record.containers.get(id)?.logPath;
  if (logPath !== undefined) await unlessReadOnly(services, logPath, async () => services.removeLog(logPath));
  record.containers.removed(id);
}

async function stopSandbox({ services, record, signal }: Turn, { id }: { id: string }): Promise<void> {
  const { live } = record.sandboxes;
  const isOther = live !== undefined && live.id !== id;
  if (!isOther) {
    await services.network.detach(record.uid, signal);
    record.sandboxes.disconnected();
    record.volumes.sandboxEnded();
  }
  await services.runtime.stopPodSandbox(id, signal);
  record.sandboxes.stopped(id);
}

async function removeSandbox({ services, record, signal }: Turn, { id }: { id: string }): Promise<void> {
  await services.runtime.removePodSandbox(id, signal);
  record.sandboxes.removed(id);
}

async function reportVolumes(turn: Turn, { problem }: { problem: string }): Promise<void> {
  recordEvent(turn.services, turn.record, "Warning", "FailedMount", problem);
  turn.hasTrouble = true;
}

async function releaseVolumes({ services, record, signal }: Turn): Promise<void> {
  await removeVolumes(services, record, signal);
  record.volumes.removed();
}

async function cancelPulls({ record }: Turn): Promise<void> {
  record.pullsCancelled();
}

/** Everything a pod has on the machine: in the order that what is used goes after its user. */
async function tearDown(turn: Turn): Promise<void> {
  const { services, record, signal } = turn;
  await cancelPulls(turn);
  await Promise.all(record.containers.all.map(async ({ id }) => services.runtime.removeContainer(id, signal)));
  await services.network.detach(record.uid, signal);
  await Promise.all(
    record.sandboxes.all.map(async ({ sandbox: { id } }) => {
      await services.runtime.stopPodSandbox(id, signal);
      await services.runtime.removePodSandbox(id, signal);
    }),
  );
  await Promise.all(
    record.containers.all.map(async ({ name, attempt }) => removeRootfs(services, rootfsKey(record.uid, name, attempt), signal)),
  );
  await removeVolumes(services, record, signal);
  const logs = podLogsPath(services.podLogsDir, record);
  await unlessReadOnly(services, logs, async () => removeTree(logs, signal));
  await unlessReadOnly(services, "the kept object", async () => forgetKeptPod(services.keptPodsDir, record.uid));
  record.removed();
  services.log.info("pod removed", { pod: record.name, uid: record.uid });
}

async function removeRootfs(services: Services, key: string, signal: AbortSignal): Promise<void> {
  await unlessReadOnly(services, key, async () => services.images.removeRootfs(key, signal));
}

async function removeVolumes(services: Services, record: PodRecord, signal: AbortSignal): Promise<void> {
  const tearDown = async (): Promise<void> => services.volumes.tearDown(record.uid, signal);
  await unlessReadOnly(services, "volumes", async () => record.volumes.inOrder(tearDown, signal));
}

/** On a read-only disk files stay, whatever becomes of their pod; the next engine that can finds and removes them. */
async function unlessReadOnly({ log }: Services, what: string, remove: () => Promise<void>): Promise<void> {
  try {
    await remove();
  } catch (error) {
    if (!isReadOnlyDisk(error)) throw error;
    log.warn("not removed: the disk is read-only", { what, error });
  }
}

function isReadOnlyDisk(error: unknown): boolean {
  return isErrno(error, "EROFS") || (error instanceof Error && error.cause !== undefined && isReadOnlyDisk(error.cause));
}

async function deleteObject({ services, record, signal }: Turn): Promise<void> {
  if (record.isObjectDeleted) return;
  try {
    await services.client.delete(
      pods,
      { namespace: record.namespace, name: record.name },
      { gracePeriodSeconds: 0, uid: record.uid },
      signal,
    );
  } catch (cause) {
    if (!(cause instanceof ApiError && (cause.code === 404 || cause.code === 409))) throw cause;
  }
  record.objectDeleted();
}

function portMappings({ pod }: Turn): PortMapping[] {
  const ports = podContainers(pod?.spec, lastingRoles).flatMap(({ container }) => container.ports ?? []);
  return ports.flatMap(({ hostPort, containerPort, protocol = "TCP", hostIP = "" }) =>
    hostPort === undefined || hostPort === 0 ? [] : [{ protocol, containerPort, hostPort, hostIP }],
  );
}
