import { equalJson, pods, type PodStatus } from "@peapod/api";
import { ApiError, type Client } from "@peapod/client";
import type { PodRecord } from "../record/pod-record.ts";

/** Writes pods' statuses to the API: only what changed, one write of a pod at a time, the newest one. */
export class StatusWriter {
  readonly #client: Client;
  readonly #lastWrites = new WeakMap<PodRecord, Promise<void>>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** Resolves when the API has the status. A pod that is gone, or is another one by now, counts as written. */
  async write(record: PodRecord, status: PodStatus, signal: AbortSignal): Promise<void> {
    if (equalJson(record.status, status)) return this.#lastWrites.get(record);
    const previous = record.status;
    record.statusTold(status);
    const earlier = this.#lastWrites.get(record) ?? Promise.resolve();
    const write = earlier.catch(() => {}).then(async () => this.#patch(record, previous, status, signal)); // whoever asked for the earlier one heard of its failure
    this.#lastWrites.set(record, write);
    return write;
  }

  async #patch(record: PodRecord, previous: PodStatus, status: PodStatus, signal: AbortSignal): Promise<void> {
    if (!record.isInApi || record.status !== status) return; // a newer one is on its way
    const removed = Object.fromEntries(
      Object.keys(previous)
        .filter((key) => !(key in status))
        .map((key) => [key, null]),
    );
    const body = { metadata: { uid: record.uid }, status: { ...removed, ...status } };
    try {
      await this.#client.patch(
        pods,
        { namespace: record.namespace, name: record.name },
        { type: "merge", body },
        { subresource: "status" },
        signal,
      );
    } catch (cause) {
      if (cause instanceof ApiError && (cause.code === 404 || cause.code === 409)) return;
      record.statusNotTaken(status, previous); // it is still to be written
      throw cause;
    }
  }
}
