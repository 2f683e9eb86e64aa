import type { LimitsConfig } from "../config/config.ts";

/** A token bucket: how many may come at once now, as of a time. It fills with `perSecond`, up to `burst`. */
export interface Bucket {
  readonly tokens: number;
  readonly atMs: number;
}

/** A full one. */
export function fullBucket(rate: NonNullable<LimitsConfig["rate"]>, nowMs: number): Bucket {
  return { tokens: rate.burst, atMs: nowMs };
}

/** Takes one token; undefined when there is none. A clock that was set back takes nothing away. */
export function takeToken(bucket: Bucket, rate: NonNullable<LimitsConfig["rate"]>, nowMs: number): Bucket | undefined {
  const elapsedMs = Math.max(0, nowMs - bucket.atMs);
  const tokens = Math.min(rate.burst, bucket.tokens + (elapsedMs * rate.perSecond) / 1000);
  return tokens < 1 ? undefined : { tokens: tokens - 1, atMs: nowMs };
}
