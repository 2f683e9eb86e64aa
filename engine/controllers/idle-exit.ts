import { type Pod, pods } from "@peapod/api";
import type { Client } from "@peapod/client";
import type { Clock, Logger } from "@peapod/kit";

/** How many looks a span of idleness takes: the end comes at most a twentieth late. */
const LOOKS = 20;

/** Resolves once no pod has been left to run for `idleMs`: a pod that Succeeded or Failed has nothing to run. */
export async function untilIdle(
  options: { client: Client; clock: Clock; log: Logger; idleMs: number },
  signal: AbortSignal,
): Promise<void> {
  const { client, clock, log, idleMs } = options;
  let idleSinceMs = clock.monotonicMs();
  for (;;) {
    await clock.sleep(Math.max(idleMs / LOOKS, 50), signal);
    const { items } = await client.list(pods, {}, signal);
    if (items.some(isLeftToRun)) idleSinceMs = clock.monotonicMs();
    else if (clock.monotonicMs() - idleSinceMs >= idleMs) {
      log.info("nothing left to run, ending", { idleMinutes: idleMs / 60_000 });
      return;
    }
  }
}

function isLeftToRun(pod: Pod): boolean {
  return pod.status?.phase !== "Succeeded" && pod.status?.phase !== "Failed";
}
