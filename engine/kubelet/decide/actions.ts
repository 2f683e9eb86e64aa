import type { RestartBackoff } from "./pod-seen.ts";

/** How long a container gets between SIGTERM and SIGKILL: as a whole, and what is left of it. */
export interface Grace {
  readonly wholeSeconds: number;
  readonly leftSeconds: number;
}

/** What to do next. Actions of one plan go on at the same time, in whatever order they stand; what one waits for is said in `order`. */
export type Action =
  | { readonly kind: "create-sandbox"; readonly attempt: number }
  | { readonly kind: "attach-network" }
  | { readonly kind: "set-up-volumes" }
  | { readonly kind: "start-container"; readonly name: string; readonly attempt: number; readonly backoff?: RestartBackoff }
  | { readonly kind: "kill-container"; readonly id: string; readonly name: string; readonly grace: Grace; readonly message: string }
  | { readonly kind: "remove-container"; readonly id: string; readonly name: string; readonly attempt: number }
  | { readonly kind: "stop-sandbox"; readonly id: string }
  | { readonly kind: "remove-sandbox"; readonly id: string }
  | { readonly kind: "report-volumes"; readonly problem: string }
  | { readonly kind: "release-volumes" }
  | { readonly kind: "cancel-pulls" }
  | { readonly kind: "tear-down" }
  | { readonly kind: "delete-object" }
  | { readonly kind: "wait"; readonly untilMs: number };

/** What an action can wait for: there already, or made by another action of the same plan. */
export type Step = "sandbox" | "network" | "volumes";

interface Order {
  readonly makes?: Step;
  readonly needs: readonly Step[];
}

/** What each action makes for others of its plan, and what it waits for of them. Nothing else orders them. */
export const order = {
  "create-sandbox": { makes: "sandbox", needs: [] },
  "attach-network": { makes: "network", needs: ["sandbox"] },
  "set-up-volumes": { makes: "volumes", needs: [] },
  "start-container": { needs: ["sandbox", "network", "volumes"] },
  "kill-container": { needs: [] },
  "remove-container": { needs: [] },
  "stop-sandbox": { needs: [] },
  "remove-sandbox": { needs: [] },
  "report-volumes": { needs: [] },
  "release-volumes": { needs: [] },
  "cancel-pulls": { needs: [] },
  "tear-down": { needs: [] },
  "delete-object": { needs: [] },
  wait: { needs: [] },
} as const satisfies { readonly [K in Action["kind"]]: Order };
