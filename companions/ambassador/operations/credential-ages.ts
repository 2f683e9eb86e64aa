import type { SecretSource } from "../../frame/credentials/secret.ts";
import { startTimer, type Timer } from "@peapod/kit";
import type { ListenerConfig } from "../config/config.ts";
import type { Credentials } from "../credentials/credentials.ts";

/** What is asked of a connection. */
interface Aging {
  readonly secrets: readonly { readonly source: SecretSource; readonly version: number }[];
  finish(): void;
}

/** What is asked of a listener. */
interface AgingListener {
  readonly config: ListenerConfig;
  readonly connections: Iterable<Aging>;
}

/** Ends connections that were made with credentials which have changed since, `login.maxAgeMs` after the change. */
export class CredentialAges implements Disposable {
  readonly #listeners: () => readonly AgingListener[];
  readonly #subscription: Disposable;
  readonly #timers = new Set<Timer>();

  constructor(credentials: Pick<Credentials, "onChange">, listeners: () => readonly AgingListener[]) {
    this.#listeners = listeners;
    this.#subscription = credentials.onChange((source, version) => this.#changed(source, version));
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
    for (const timer of this.#timers) timer[Symbol.dispose]();
  }

  /** One timer for each change and listener, however many connections it has. Who is old is asked at its end: some were only logging in at the change. */
  #changed(source: SecretSource, version: number): void {
    for (const listener of this.#listeners()) {
      const maxAgeMs = "login" in listener.config ? listener.config.login.maxAgeMs : undefined;
      if (maxAgeMs === undefined) continue;
      const timer = startTimer(() => {
        this.#timers.delete(timer);
        for (const connection of listener.connections) if (isOlder(connection, source, version)) connection.finish();
      }, maxAgeMs);
      this.#timers.add(timer);
    }
  }
}

/** Versions only grow. */
function isOlder({ secrets }: Aging, source: SecretSource, version: number): boolean {
  return secrets.some((secret) => secret.version < version && isSame(secret.source, source));
}

function isSame(a: SecretSource, b: SecretSource): boolean {
  return a.kind === "file" && b.kind === "file" && a.path === b.path;
}
