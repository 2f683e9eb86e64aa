/** An archive that is no tar, or one of a kind that is not taken. `path` names the entry, where it is one's fault. */
export class TarError extends Error {
  override readonly name = "TarError";
  readonly path: string | undefined;
  constructor(message: string, path?: string, options?: ErrorOptions) {
    super(message, options);
    this.path = path;
  }
}
