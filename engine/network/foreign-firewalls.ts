import type { Logger } from "@peapod/kit";
export interface ForeignFirewall { readonly name: string; readonly finding: string; readonly advice: string }
export class FirewallPass {
  constructor(_options: { names: import("./names.ts").NetworkNames; log: Logger }) {}
  async ensure(): Promise<void> {}
  async remove(): Promise<void> {}
}
