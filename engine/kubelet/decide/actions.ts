import type { RestartBackoff } from "./pod-seen.ts";

/** How long a container gets between SIGTERM and SIGKILL: as a whole, and what is left of it. */
export interface Grace {
  readonly wholeSeconds: number;
  readonly leftSeconds: number;
}

/** What to do next. Actions of one plan do not wait for each other, but where a container needs its pod's sandbox. */
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
