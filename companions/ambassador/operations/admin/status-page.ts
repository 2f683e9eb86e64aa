import type { AmbassadorStatus } from "../status.ts";
export function statusPage(status: AmbassadorStatus, _connections: readonly Record<string, unknown>[]): string {
  return `<pre>${JSON.stringify(status)}`;
}
