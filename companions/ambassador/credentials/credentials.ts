import type { SecureContext } from "node:tls";
import type { FileCredentials } from "../../frame/credentials/file-credentials.ts";
import type { ServerTlsConfig, UpstreamTlsConfig } from "../config/config.ts";

/** The credentials and certificates of the configuration, from their files. */
export interface Credentials extends Pick<FileCredentials, "secret" | "onChange"> {
  /** A context made once for each content of the files. Throws CREDENTIAL_MISSING. */
  upstreamContext(tls: UpstreamTlsConfig): SecureContext;
  serverContext(tls: ServerTlsConfig): SecureContext;
}

/** Asks files for what the configuration's TLS needs. */
export function credentialsFrom(files: FileCredentials): Credentials {
  return {
    secret: (source) => files.secret(source),
    onChange: (listener) => files.onChange(listener),
    upstreamContext: ({ mode, caFile, certFile, keyFile, minVersion }) => {
      const isVerified = mode === "verify-ca" || mode === "verify-full";
      const trust = caFile === undefined ? (isVerified ? "system" : "none") : { caFile };
      return files.context({ trust, certFile, keyFile, minVersion });
    },
    serverContext: ({ certFile, keyFile, clientCaFile }) =>
      files.context({ trust: clientCaFile === undefined ? "none" : { caFile: clientCaFile }, certFile, keyFile, minVersion: "TLSv1.2" }),
  };
}
