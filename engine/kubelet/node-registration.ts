import { type Lease, leases, microTimestamp, type Namespace, namespaces, type Node, nodes, type NodeStatus } from "@peapod/api";
import { ApiError, type Client, type EventRecorder, Reflector } from "@peapod/client";
import { type Clock, isAbort, type Logger, runTogether } from "@peapod/kit";
import { type MachineFacts, nodeObject, nodeStatus, saysStill } from "./node-object.ts";

export interface NodeRegistrationOptions {
  readonly client: Client;
  readonly nodeName: string;
  readonly machine: MachineFacts;
  readonly hostIP: string;
  readonly runtimeVersion: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly recorder: EventRecorder;
}

const LEASE_NAMESPACE = "kube-node-lease";
const LEASE_SECONDS = 40;
const LEASE_RENEW_MS = 10_000;
const STATUS_EVERY_MS = 300_000;

/**
 * Registers the node, again too where somebody deletes it, and keeps its lease and its status fresh until the signal is aborted. A status that
 * somebody changed is written anew when the lease is renewed next, as upstream's kubelet does every ten seconds.
 */
export async function keepNodeRegistered(options: NodeRegistrationOptions, signal: AbortSignal): Promise<void> {
  const { client, nodeName, clock, log } = options;
  let statusDueMs = -Infinity;
  let written: NodeStatus = {};
  let wake = new AbortController();
  const own: Reflector<Node> = new Reflector({
    client,
    resource: nodes,
    selection: { fieldSelector: `metadata.name=${nodeName}` },
    clock,
    log,
    onChange: (key) => {
      if (own.get(key) !== undefined) return;
      log.warn("node was deleted, registering it again", { node: nodeName });
      statusDueMs = -Infinity;
      wake.abort();
    },
  });
  const keep = async (each: AbortSignal): Promise<void> => {
    let isFirst = true;
    while (!each.aborted) {
      wake = new AbortController();
      try {
        const status = own.get(nodeName)?.status ?? written;
        if (clock.monotonicMs() >= statusDueMs || !saysStill(status, written)) {
          statusDueMs = clock.monotonicMs() + STATUS_EVERY_MS; // before the write: a deletion during it counts
          written = await writeNode(options, isFirst, each);
          isFirst = false;
        }
        await renewLease(options, each);
      } catch (cause) {
        if (isAbort(cause, each)) return;
        statusDueMs = -Infinity;
        log.warn("node not kept fresh", { node: nodeName, error: cause });
      }
      await clock.sleep(LEASE_RENEW_MS, AbortSignal.any([each, wake.signal])).catch(() => {}); // only ever aborted
    }
  };
  await runTogether({ keep, watch: async (each) => own.run(each) }, signal);
}

async function writeNode(
  { client, nodeName, machine, hostIP, runtimeVersion, clock, recorder }: NodeRegistrationOptions,
  isFirst: boolean,
  signal: AbortSignal,
): Promise<NodeStatus> {
  const wanted = nodeObject(nodeName, machine);
  const known = (await ifPresent(client.get(nodes, { name: nodeName }, signal))) ?? (await client.create(nodes, wanted, {}, signal));
  const status = nodeStatus(nodeName, machine, { hostIP, runtimeVersion, previous: known.status ?? {}, nowMs: clock.nowMs() });
  if (isFirst)
    await client.patch(nodes, { name: nodeName }, { type: "merge", body: { metadata: { labels: wanted.metadata.labels } } }, {}, signal);
  await client.patch(nodes, { name: nodeName }, { type: "merge", body: { status } }, { subresource: "status" }, signal);
  if (!isFirst) return status;
  const subject = { apiVersion: "v1", kind: "Node", namespace: "", name: nodeName, uid: known.metadata.uid ?? nodeName };
  recorder.record(subject, "Normal", "Starting", "Starting kubelet.");
  recorder.record(subject, "Normal", "NodeReady", `Node ${nodeName} status is now: NodeReady`);
  return status;
}

async function renewLease({ client, nodeName, clock }: NodeRegistrationOptions, signal: AbortSignal): Promise<void> {
  const renewTime = microTimestamp(clock.nowMs());
  const where = { namespace: LEASE_NAMESPACE, name: nodeName };
  const renewed = await ifPresent(client.patch(leases, where, { type: "merge", body: { spec: { renewTime } } }, {}, signal));
  if (renewed !== undefined) return;
  await ensureNamespace(client, signal);
  const lease: Lease = {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { ...where },
    spec: { holderIdentity: nodeName, leaseDurationSeconds: LEASE_SECONDS, renewTime },
  };
  await client.create(leases, lease, {}, signal);
}

async function ensureNamespace(client: Client, signal: AbortSignal): Promise<void> {
  if ((await ifPresent(client.get(namespaces, { name: LEASE_NAMESPACE }, signal))) !== undefined) return;
  const namespace: Namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: LEASE_NAMESPACE } };
  try {
    await client.create(namespaces, namespace, {}, signal);
  } catch (cause) {
    if (!(cause instanceof ApiError && cause.code === 409)) throw cause; // somebody else was first
  }
}

async function ifPresent<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (cause) {
    if (cause instanceof ApiError && cause.code === 404) return undefined;
    throw cause;
  }
}
