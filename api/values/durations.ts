/** How long ago, as upstream's `duration.HumanDuration` says it: `45s`, `3m20s`, `5h`, `2d4h`. */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1_000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 10) return pair(minutes, "m", seconds % 60, "s");
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return pair(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  const days = Math.trunc(hours / 24);
  if (hours < 192) return pair(days, "d", hours % 24, "h");
  if (days < 365 * 2) return `${days}d`;
  const years = Math.trunc(days / 365);
  return days < 365 * 8 ? pair(years, "y", days % 365, "d") : `${years}y`;
}

/** The time since a timestamp; `<unknown>` where there is none. */
export function age(since: string | undefined, nowMs: number): string {
  const at = since === undefined ? Number.NaN : Date.parse(since);
  return Number.isNaN(at) ? "<unknown>" : humanDuration(nowMs - at);
}

function pair(many: number, unit: string, few: number, smaller: string): string {
  return few === 0 ? `${many}${unit}` : `${many}${unit}${few}${smaller}`;
}
