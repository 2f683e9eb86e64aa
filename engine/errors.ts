/** What can go wrong in the engine that a caller may act on. Each code has an entry in docs/errors.md. */
const codes = {
  /** The machine lacks something: a program, a kernel feature, a right. */
  MACHINE_LACKS: { retry: false },
  /** Another engine holds this state directory. */
  STATE_DIR_BUSY: { retry: false },
  /** The state or run directory cannot be the engine's alone, or kept in memory. */
  DIRECTORY_UNUSABLE: { retry: false },
  /** The API's address is taken, or not this machine's. */
  LISTEN_FAILED: { retry: false },
  /** What the store's disk does to it. */
  STORE_FULL: { retry: true },
  STORE_READ_ONLY: { retry: true },
  STORE_FAILED: { retry: false },
  STORE_DAMAGED: { retry: false },
  STORE_TOO_NEW: { retry: false },
  IMAGE_NAME_INVALID: { retry: false },
  IMAGE_NOT_FOUND: { retry: true },
  IMAGE_PULL_FAILED: { retry: true },
  IMAGE_IN_USE: { retry: false },
  /** A layer or archive is malformed, or tries to write outside its root. */
  IMAGE_INVALID: { retry: false },
  CONTAINER_NOT_FOUND: { retry: false },
  SANDBOX_NOT_FOUND: { retry: false },
  /** The configuration cannot make a container: an unknown user, a missing key, a path that is no directory. */
  CONTAINER_CONFIG_INVALID: { retry: true },
  CONTAINER_CREATE_FAILED: { retry: true },
  CONTAINER_START_FAILED: { retry: true },
  RUNTIME_FAILED: { retry: true },
  NETWORK_FAILED: { retry: true },
  NO_FREE_ADDRESS: { retry: true },
  HOST_PORT_BUSY: { retry: true },
  VOLUME_FAILED: { retry: true },
  LOG_NOT_FOUND: { retry: false },
} as const satisfies Record<string, { retry: boolean }>;

export type ErrorCode = keyof typeof codes;

/** Every code, for the test that ties this table to docs/errors.md. */
export const errorCodes: readonly ErrorCode[] = Object.keys(codes) as ErrorCode[]; // keys of the literal above

/** An error that a caller can handle: switch on `code`, never on text. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** Whether the same call may go well later with nothing changed by hand. */
  get retry(): boolean {
    return codes[this.code].retry;
  }
}

/** Tells whether `error` is an EngineError with one of these codes. */
export function hasCode(error: unknown, ...wanted: readonly ErrorCode[]): error is EngineError {
  return error instanceof EngineError && wanted.includes(error.code);
}
