import { constants } from "node:os";
import { EngineError } from "../../../errors.ts";

const REALTIME_MIN = 34; // glibc's SIGRTMIN: it keeps 32 and 33
const REALTIME_MAX = 64;

/** The number of a signal: `SIGTERM`, `TERM`, `SIGRTMIN+3`, `15`. Throws CONTAINER_CONFIG_INVALID for one that Linux has not. */
export function signalNumber(name: string): number {
  const number = parseSignal(name.toUpperCase());
  if (number === undefined)
    throw new EngineError("CONTAINER_CONFIG_INVALID", `Cannot use stop signal ${JSON.stringify(name)}: no such signal`);
  return number;
}

function parseSignal(name: string): number | undefined {
  if (/^\d+$/.test(name)) return inRange(Number(name));
  const full = name.startsWith("SIG") ? name : `SIG${name}`;
  const realtime = /^SIGRT(MIN|MAX)(?:([+-])(\d+))?$/.exec(full);
  if (realtime !== null) {
    const offset = Number(realtime[3] ?? 0) * (realtime[2] === "-" ? -1 : 1);
    return inRange((realtime[1] === "MIN" ? REALTIME_MIN : REALTIME_MAX) + offset);
  }
  return Object.entries(constants.signals).find(([known]) => known === full)?.[1];
}

function inRange(number: number): number | undefined {
  return number >= 1 && number <= REALTIME_MAX ? number : undefined;
}
