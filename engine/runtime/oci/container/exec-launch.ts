/** One exec under way: what the runtime is started with, and the files it uses. */
export interface ExecLaunch {
  readonly program: string;
  readonly args: readonly string[];
  /** The pid of the process in the container, written once it has started. */
  readonly pidPath: string;
  /** Kills the process in the container with everything it started; takes the pid of the runtime's own, which is still there. */
  readonly kill: (runtimePid: number) => void;
  /** The exit code for the runtime's own: 126 or 127 where it could not start the command. */
  readonly exitCode: (runtimeExitCode: number) => number;
  /** Removes the files. */
  readonly end: () => void;
}
