import type { CredentialProblem } from "../credentials/file-credentials.ts";

/** What the admin page and its JSON show of every companion. There is no credential in it. */
export interface FrameStatus {
  readonly version: string;
  readonly uptimeMs: number;
  readonly isReady: boolean;
  readonly isDraining: boolean;
  readonly configuration: ConfigurationState;
  /** Files that are no good now; the last good content of each stays in use, if there was one. */
  readonly credentialProblems: readonly CredentialProblem[];
}

/** What the admin page says about the configuration. */
export interface ConfigurationState {
  /** The file; undefined where the environment says everything. */
  readonly path: string | undefined;
  /** When the one in use was taken over. */
  readonly appliedAtMs: number;
  /** Why the file as it is now was refused; undefined: it is the one in use. */
  readonly problem: string | undefined;
}
