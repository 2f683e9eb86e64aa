/** What can go wrong with every companion. A companion's own codes are these and more. */
export type FrameErrorCode =
  /** The configuration is not valid; the message has a line for each problem. */
  | "CONFIG_INVALID"
  /** An address to listen on cannot be had. */
  | "LISTEN_FAILED"
  /** A file with a credential or a certificate is missing, empty, or cannot be read. */
  | "CREDENTIAL_MISSING";

/** A failure that somebody can act on, by its code. Its message never has a credential in it. One class for all, so that whoever catches knows it. */
export class CompanionError<Code extends string = string> extends Error {
  override readonly name = "CompanionError";
  readonly code: Code;
  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
