/** A container's log as `kubectl logs` asks for it; from PodLogOptions. */
export interface LogOptions {
  readonly follow: boolean;
  readonly timestamps: boolean;
  readonly tailLines?: number;
  readonly sinceTimeMs?: number;
  readonly limitBytes?: number;
  /** Default "All". */
  readonly stream?: "All" | "Stdout" | "Stderr";
}
