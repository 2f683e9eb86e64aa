import type { Pod } from "@peapod/api";
import type { PodAddress } from "../../network/network.ts";
import type { References } from "../decide/environment.ts";
import { hostsFile, podHostname } from "../decide/pod-files.ts";
import { podResolvConf } from "../decide/pod-resolv-conf.ts";
import type { PodRecord } from "../record/pod-record.ts";
import type { PodFiles } from "../record/pod-volumes.ts";
import { isAbort } from "@peapod/kit";
import { describeError, recordEvent, type Services } from "../services.ts";
import type { WantedVolumes } from "./wanted-volumes.ts";

/** One look at one pod and what is done about it. */
export class Turn {
  readonly services: Services;
  readonly record: PodRecord;
  readonly pod: Pod | undefined;
  readonly references: References;
  readonly volumePlans: WantedVolumes | undefined;
  /** Aborted when the engine stops; of a pod that was wanted as the turn began, when its deletion is seen; of one that goes, when that takes too long. */
  readonly signal: AbortSignal;
  /** Aborted when the engine stops: for what is to be seen through, and for what takes back. */
  readonly engine: AbortSignal;
  #address: Promise<PodAddress | undefined> | undefined;
  /** Whether anything failed for the pod as a whole. */
  hasTrouble = false;

  constructor(
    services: Services,
    record: PodRecord,
    inputs: { references: References; volumePlans: WantedVolumes | undefined },
    { signal, engine }: { signal: AbortSignal; engine: AbortSignal },
  ) {
    this.services = services;
    this.record = record;
    this.pod = record.wanted;
    this.references = inputs.references;
    this.volumePlans = inputs.volumePlans;
    this.signal = signal;
    this.engine = engine;
  }

  /** The pod's address, reserved by the first who asks; undefined, with an event and a later try, where there is none. Never rejects. */
  async address(): Promise<PodAddress | undefined> {
    const { services, record } = this;
    this.#address ??= told(this, "FailedCreatePodSandBox", "Failed to create pod sandbox", async () => {
      if (record.sandboxes.address === undefined) record.sandboxes.reserved(await services.network.reserve(record.uid, this.signal));
      return record.sandboxes.address;
    });
    return this.#address;
  }

  /** /etc/hosts and its like, written once for each sandbox. */
  async podFiles(): Promise<PodFiles> {
    return this.record.volumes.files(async () => this.#writePodFiles());
  }

  async #writePodFiles(): Promise<PodFiles> {
    const { services, record, pod, signal } = this;
    const address = await this.address();
    if (pod === undefined || address === undefined) throw new Error("A pod's files need its specification and address");
    const resolvConf = podResolvConf(await services.resolver());
    return record.volumes.inOrder(async () => {
      const write = async (name: string, content: string): Promise<string> =>
        services.volumes.writePodFile(record.uid, name, content, 0o644, signal);
      return {
        hosts: await write("etc-hosts", hostsFile(pod, address.ip)),
        resolver: await write("resolv.conf", resolvConf),
        hostname: await write("hostname", `${podHostname(pod)}\n`),
      };
    }, signal);
  }
}

/** Runs a step that the whole pod depends on: undefined, with an event and a later try, where it fails. */
export async function told<T>(turn: Turn, reason: string, doing: string, step: () => Promise<T>): Promise<T | undefined> {
  try {
    return await step();
  } catch (cause) {
    if (isAbort(cause, turn.signal)) return undefined;
    turn.hasTrouble = true;
    recordEvent(turn.services, turn.record, "Warning", reason, doing === "" ? describeError(cause) : `${doing}: ${describeError(cause)}`);
    turn.services.log.warn("pod step failed", { pod: turn.record.name, reason, error: cause });
    return undefined;
  }
}
