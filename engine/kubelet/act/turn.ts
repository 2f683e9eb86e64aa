import type { Pod } from "@peapod/api";
import type { PodAddress } from "../../network/network.ts";
import type { PodSandbox } from "../../runtime/runtime.ts";
import type { References } from "../decide/environment.ts";
import { hostsFile, podHostname } from "../decide/pod-files.ts";
import { podResolvConf } from "../decide/pod-resolv-conf.ts";
import type { PodRecord } from "../record/pod-record.ts";
import type { MadeVolume, PodFiles } from "../record/pod-volumes.ts";
import type { Services } from "../services.ts";
import type { WantedVolumes } from "./wanted-volumes.ts";

/**
 * One look at one pod and what is done about it. The promises are what the actions of a turn wait for of each other:
 * they never reject; undefined or false says that it failed, which was told where it did.
 */
export class Turn {
  readonly services: Services;
  readonly record: PodRecord;
  readonly pod: Pod | undefined;
  readonly references: References;
  readonly volumePlans: WantedVolumes | undefined;
  readonly signal: AbortSignal;
  sandbox: Promise<PodSandbox | undefined>;
  connected: Promise<boolean>;
  address: Promise<PodAddress | undefined>;
  volumes: Promise<ReadonlyMap<string, string> | undefined>;
  /** Whether anything failed for the pod as a whole. */
  hasTrouble = false;

  constructor(
    services: Services,
    record: PodRecord,
    inputs: { references: References; volumePlans: WantedVolumes | undefined },
    signal: AbortSignal,
  ) {
    this.services = services;
    this.record = record;
    this.pod = record.wanted;
    this.references = inputs.references;
    this.volumePlans = inputs.volumePlans;
    this.signal = signal;
    this.sandbox = Promise.resolve(record.sandboxes.live);
    this.connected = Promise.resolve(record.sandboxes.isConnected && record.sandboxes.live !== undefined);
    this.address = Promise.resolve(record.sandboxes.address);
    this.volumes = Promise.resolve(record.volumes.made === undefined ? undefined : volumePaths(record.volumes.made));
  }

  /** /etc/hosts and its like, written once for each sandbox. */
  async podFiles(): Promise<PodFiles> {
    return this.record.volumes.files(async () => this.#writePodFiles());
  }

  async #writePodFiles(): Promise<PodFiles> {
    const { services, record, pod } = this;
    const address = await this.address;
    if (pod === undefined || address === undefined) throw new Error("A pod's files need its specification and address");
    const resolvConf = podResolvConf(await services.resolver());
    return record.volumes.inOrder(async () => {
      const write = async (name: string, content: string): Promise<string> =>
        services.volumes.writePodFile(record.uid, name, content, 0o644);
      return {
        hosts: await write("etc-hosts", hostsFile(pod, address.ip)),
        resolver: await write("resolv.conf", resolvConf),
        hostname: await write("hostname", `${podHostname(pod)}\n`),
      };
    });
  }
}

/** Where each volume is. */
export function volumePaths(volumes: ReadonlyMap<string, MadeVolume>): ReadonlyMap<string, string> {
  return new Map([...volumes].map(([name, { path }]) => [name, path]));
}
