import { EventRecorder } from "@peapod/client";
import { removeLog } from "../../logs/log-files.ts";
import type { TestNode } from "../kubelet.fixture.ts";
import type { Services } from "../services.ts";
import { Places } from "./places.ts";
import { StatusWriter } from "./status-writer.ts";

/** What a turn works with over a test's fakes, without a kubelet: nobody is notified, and events go nowhere. */
export function servicesOf(node: TestNode): Services {
  const { client, runtime, images, volumes, network, clock, log, podLogsDir, keptPodsDir } = node;
  const places = (): Places => new Places({ limit: 8, heldMs: 5_000, onAdmitted: () => {} });
  return {
    client,
    runtime,
    images,
    volumes,
    network,
    clock,
    log,
    podLogsDir,
    keptPodsDir,
    removeLog,
    recorder: new EventRecorder({ client, component: "kubelet", host: "node-1", clock, log }),
    statusWriter: new StatusWriter(client),
    places: { start: places(), removal: places() },
    removalLimitMs: 600_000,
    nodeMemoryBytes: 8 * 1024 ** 3,
    allocatable: {},
    resolver: async () => ({ host: "", upstream: "" }),
    inBackground: () => {},
    notify: () => {},
    notifyAt: () => {},
  };
}
