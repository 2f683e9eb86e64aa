import type { SecureContext } from "node:tls";
import type { SecretSource, ServerTlsConfig, UpstreamTlsConfig } from "../config/config.ts";

/** What a secret file says now. */
export interface Secret {
  readonly text: string;
  /** Changes when the text does; for keys derived from it, and for connections made with an older one. */
  readonly version: number;
}

/**
 * The credentials and certificates of the configuration, from their files. They are compared by content, so that a swapped `..data` link, a
 * rewritten file and a new mount are all seen; what is asked for is what the file says at that moment.
 * A file that is missing, empty, or cannot be read after it once could: the last good content stays, a metric and a warning say so.
 */
export interface Credentials {
  /** Throws CREDENTIAL_MISSING, naming the file, when there is none and never was. Cheap: may be asked at every login. */
  secret(source: SecretSource): Secret;
  /** A context made once for each content of the files. Throws CREDENTIAL_MISSING. */
  upstreamContext(tls: UpstreamTlsConfig): SecureContext;
  serverContext(tls: ServerTlsConfig): SecureContext;
  /** Calls when a secret that was asked for has another content than before; looks by itself, within 2 s. */
  onChange(listener: (source: SecretSource, version: number) => void): Disposable;
  /** Watches until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
}
