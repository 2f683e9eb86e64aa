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

/** How much of the log of one start of a container stays. */
export interface LogLimits {
  /** When the file that is written is put aside for a new one. */
  readonly maxSizeBytes: number;
  /** All files, the one being written too. At least 3. */
  readonly maxFiles: number;
}

/** The kubelet's own defaults: containerLogMaxSize and containerLogMaxFiles. */
export const defaultLogLimits: LogLimits = { maxSizeBytes: 10 * 1024 * 1024, maxFiles: 5 };

/** Removes the log of one start of a container, all of its files. Already gone is success. */
export type RemoveLog = (path: string) => Promise<void>;
