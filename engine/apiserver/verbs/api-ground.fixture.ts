import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, connectInProcess } from "@peapod/client";
import type { Pod, PodSpec } from "@peapod/api";
import { Scope, systemClock } from "@peapod/kit";
import { openStore } from "../../store/open-store.ts";
import { ObjectApi } from "./object-api.ts";

/** An API over a store of its own, for a test; closing it removes the files. */
export interface TestGround extends AsyncDisposable {
  readonly api: ObjectApi;
  readonly client: Client;
  readonly folder: string;
  readonly scope: Scope;
}

/** Opens a store in a temporary folder, and an API over it. */
export function inProcess(): TestGround {
  const folder = mkdtempSync(join(tmpdir(), "peapod-api-"));
  const scope = new Scope();
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  const store = openStore(join(folder, "store.db"), scope);
  const api = new ObjectApi({ store, clock: systemClock });
  api.prepare();
  return { api, client: connectInProcess(api), folder, scope, [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose]() };
}

/** The smallest pod there is. */
export function minimalPod(name: string, spec: Partial<PodSpec> = {}): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default" },
    spec: { containers: [{ name: "main", image: "busybox:1" }], ...spec },
  };
}
