import { createHash } from "node:crypto";
import type { Pod } from "@peapod/api";
import type { VolumePlan } from "../../volumes/volumes.ts";
import type { References } from "../decide/environment.ts";
import { planVolumes } from "../decide/volume-plans.ts";

/** A pod's volumes by name: each with everything resolved and a digest of what it shows, or why that cannot be. */
export interface WantedVolumes {
  readonly plans: ReadonlyMap<string, { readonly plan: VolumePlan; readonly digest: string }>;
  readonly problems: ReadonlyMap<string, string>;
}

/** What a pod's volumes are to be; another digest wants a volume brought up to date. */
export function wantedVolumes(pod: Pod, references: References): WantedVolumes {
  const { plans, problems } = planVolumes(pod, references);
  return { plans: new Map([...plans].map(([name, plan]) => [name, { plan, digest: digestOf(plan) }])), problems };
}

function digestOf(plan: VolumePlan): string {
  const text = JSON.stringify(plan, (_key, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value,
  );
  return createHash("sha256").update(text).digest("hex");
}
