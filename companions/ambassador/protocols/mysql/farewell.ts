import { delay } from "@peapod/kit";
import type { Wire } from "../../flow/wire.ts";

/** How long the other side may take to read the last words and to end too. */
const FAREWELL_MS = 1000;

/** Sends no more, gives the other side a moment to read what was sent (a connection that is torn down loses it), and ends. */
export async function sayFarewell(wire: Wire): Promise<void> {
  wire.end();
  const timer = new AbortController();
  await Promise.race([wire.closed, delay(FAREWELL_MS, timer.signal).catch(() => {})]); // aborted once it has ended
  timer.abort();
  wire.destroy();
}
