import { configMaps, type KubeObject, type Resource, secrets } from "@peapod/api";
import { type Client, Reflector } from "@peapod/client";
import { type Clock, type Logger, untilAborted } from "@peapod/kit";
import type { Reference } from "./reference-index.ts";

const resourceOf: Readonly<Record<Reference["kind"], Resource>> = { configMaps: erased(configMaps), secrets: erased(secrets) };

export interface ReferenceWatchesOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called when it was found, and with each change. Must not throw. */
  readonly onChange: (reference: Reference) => void;
}

/** Watches ConfigMaps and Secrets one by one, by name: of others a node may know nothing. */
export class ReferenceWatches {
  readonly #options: ReferenceWatchesOptions;
  readonly #running = new Map<AbortController, Promise<void>>();
  readonly #failed = Promise.withResolvers<never>();
  #isEnded = false;

  constructor(options: ReferenceWatchesOptions) {
    this.#options = options;
  }

  /** Watches one until it is disposed of. */
  watch(reference: Reference): Disposable {
    const { onChange, ...common } = this.#options;
    const stop = new AbortController();
    const reflector = new Reflector({
      ...common,
      resource: resourceOf[reference.kind],
      selection: { namespace: reference.namespace, fieldSelector: `metadata.name=${reference.name.replaceAll(/[\\,=]/g, "\\$&")}` },
      onChange: () => onChange(reference),
    });
    if (!this.#isEnded) {
      const done = reflector.run(stop.signal).catch(this.#failed.reject);
      this.#running.set(stop, done);
      void done.finally(() => this.#running.delete(stop));
    }
    return { [Symbol.dispose]: () => stop.abort() };
  }

  /** Ends all watches when the signal is aborted. Rejects where one failed for another reason than the API's. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await Promise.race([this.#failed.promise, untilAborted(signal)]);
    } finally {
      this.#isEnded = true;
      for (const stop of this.#running.keys()) stop.abort();
      await Promise.all(this.#running.values());
    }
  }
}

/** Only names are asked of what is watched. */
function erased<T extends KubeObject>(resource: Resource<T>): Resource {
  return resource as unknown as Resource;
}
