import type { PodAddress } from "../../network/network.ts";
import type { PodSandbox } from "../../runtime/runtime.ts";
import { type Action, order, type Step } from "../decide/actions.ts";
import type { PodRecord } from "../record/pod-record.ts";

/** What each step gives to those that wait for it. */
interface Made {
  readonly sandbox: PodSandbox;
  /** Connected. */
  readonly network: PodAddress;
  /** Where each volume is. */
  readonly volumes: ReadonlyMap<string, string>;
}

type Kind = Action["kind"];

/** What an action of a kind may wait for, and nothing else: undefined says that it failed, which was told where it did. They never reject. */
export type Given<K extends Kind> = { readonly [S in (typeof order)[K]["needs"][number]]: Promise<Made[S] | undefined> };

/** What an action of a kind makes for others; undefined says that it failed. */
export type Outcome<K extends Kind> = (typeof order)[K] extends { readonly makes: infer S extends Step } ? Made[S] | undefined : void;

type Promises = { readonly [S in Step]: PromiseWithResolvers<Made[S] | undefined> };

/** The steps of one plan: each is what an action of it makes, or what is there already. The plan's order means nothing. */
export class Steps {
  readonly #promises: Promises;

  constructor(actions: readonly Action[], record: PodRecord) {
    const { live, isConnected, address } = record.sandboxes;
    this.#promises = {
      sandbox: Promise.withResolvers(),
      network: Promise.withResolvers(),
      volumes: Promise.withResolvers(),
    };
    const soon = new Set(actions.map(({ kind }) => makes(kind)));
    if (!soon.has("sandbox")) this.#promises.sandbox.resolve(live);
    if (!soon.has("network")) this.#promises.network.resolve(isConnected && live !== undefined ? address : undefined);
    if (!soon.has("volumes")) this.#promises.volumes.resolve(record.volumes.paths);
  }

  /** What an action waits for. */
  given<K extends Kind>(kind: K): Given<K> {
    const needs: readonly Step[] = order[kind].needs;
    return Object.fromEntries(needs.map((step) => [step, this.#promises[step].promise])) as Given<K>; // the table's own names
  }

  /** An action is over: whoever waits for what it makes goes on. */
  over(kind: Kind, outcome: unknown): void {
    const step = makes(kind);
    if (step !== undefined) (this.#promises[step] as PromiseWithResolvers<unknown>).resolve(outcome); // the executors' type pairs them
  }
}

function makes(kind: Kind): Step | undefined {
  const entry = order[kind];
  return "makes" in entry ? entry.makes : undefined;
}
