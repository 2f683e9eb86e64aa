/** The exit codes of every command; `exec` gives its command's own instead. */
export const exitCodes = { success: 0, failure: 1, usage: 64, interrupted: 130 } as const;

/** What a user did or met that ends the command with one clear message; no stack is shown. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: number;
  constructor(message: string, options: ErrorOptions & { exitCode?: number } = {}) {
    super(message, options);
    this.exitCode = options.exitCode ?? exitCodes.failure;
  }
}

/** A command line that makes no sense: exit code 64. */
export function usageError(message: string): CliError {
  return new CliError(message, { exitCode: exitCodes.usage });
}
