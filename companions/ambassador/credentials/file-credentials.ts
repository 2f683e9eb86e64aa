import type { SecureContext } from "node:tls";
import { type Clock, isAbort, type Logger } from "@peapod/kit";
import type { ListenerConfig, SecretSource, ServerTlsConfig, UpstreamTlsConfig } from "../config/config.ts";
import { AmbassadorError } from "../errors.ts";
import type { Credentials, Secret } from "./credentials.ts";
import { judgeCertificates, judgeKey } from "./pem.ts";
import { type ContextRecipe, type FileRef, TlsContexts } from "./tls-contexts.ts";
import { PEM_LIMIT_BYTES, WatchedFile } from "./watched-file.ts";

/** A password, token or key of an API is far below it. */
const SECRET_LIMIT_BYTES = 64 * 1024;
/** Half of what is promised: a look takes no time. */
const LOOK_EVERY_MS = 1000;

/** A file that is no good now; the last good content, if there was one, stays in use. */
export interface CredentialProblem {
  readonly path: string;
  /** `is missing`, `is empty`. Never has the content. */
  readonly reason: string;
}

/** Credentials that also say what is wrong with their files now. */
export interface FileCredentials extends Credentials {
  problems(): readonly CredentialProblem[];
  /** Forgets the files that none of these listeners names: those are watched, and complained about, no more. To be called after a reload. */
  keepFor(listeners: readonly ListenerConfig[]): void;
}

interface Watched {
  readonly source: SecretSource;
  readonly file: WatchedFile;
  /** The version that the listeners know. */
  told: number;
  text: { readonly version: number; readonly secret: Secret } | undefined;
}

/** Opens the credentials of a configuration. `onProblem` is called once each time a file stops being good, for a metric. Holds nothing open. */
export function openCredentials(options: {
  readonly log: Logger;
  readonly clock: Clock;
  readonly onProblem?: (problem: CredentialProblem) => void;
}): FileCredentials {
  const { log, clock, onProblem = () => {} } = options;
  const secrets = new Map<string, Watched>();
  const files = new Map<string, WatchedFile>();
  const listeners = new Set<(source: SecretSource, version: number) => void>();
  const mismatches = new Map<string, string>();
  let lastVersion = 0;

  const tellProblem = (path: string, reason: string): void => {
    log.warn("credential cannot be used; the last good one stays, if there was one", { file: path, reason });
    onProblem({ path, reason });
  };
  const tellGood = (path: string, what: "back" | "changed"): void => {
    log.info(what === "back" ? "credential can be used again" : "credential changed", { file: path });
  };
  const contexts = new TlsContexts({
    onProblem: (path, reason) => {
      mismatches.set(path, reason);
      tellProblem(path, reason);
    },
    onGood: (path) => {
      mismatches.delete(path);
      tellGood(path, "back");
    },
  });

  function watch(path: string, judge: (content: Buffer) => string | undefined, limitBytes: number): WatchedFile {
    return new WatchedFile({ path, judge, limitBytes, nextVersion: () => (lastVersion += 1), onProblem: tellProblem, onGood: tellGood });
  }

  /** The file of one part of a TLS context, looked at now; the same for every context that it is a part of. */
  function part(path: string, judge: (content: Buffer) => string | undefined): FileRef {
    const name = `${judge.name} ${path}`;
    const file = files.get(name) ?? watch(path, judge, PEM_LIMIT_BYTES);
    files.set(name, file);
    file.look();
    if (file.version === 0) throw missing(path, file.problem);
    return { path, file };
  }

  function secret(source: SecretSource): Secret {
    if (source.kind === "value") return { text: source.value, version: 0 };
    const known = secrets.get(source.path);
    const watched = known ?? { source, file: watch(source.path, judgeSecret, SECRET_LIMIT_BYTES), told: 0, text: undefined };
    secrets.set(source.path, watched);
    watched.file.look();
    const { version, content } = watched.file;
    if (content === undefined) throw missing(source.path, watched.file.problem);
    if (known === undefined || watched.told === 0) watched.told = version;
    if (watched.text?.version !== version) watched.text = { version, secret: { text: textOf(content), version } };
    return watched.text.secret;
  }

  function tellChanges(): void {
    for (const watched of secrets.values()) {
      watched.file.look();
      const { version } = watched.file;
      if (version === watched.told) continue;
      const isFirst = watched.told === 0; // nobody can have used what was never there
      watched.told = version;
      if (!isFirst) for (const listener of listeners) listener(watched.source, version);
    }
    for (const file of files.values()) file.look();
  }

  return {
    secret,
    upstreamContext: ({ mode, caFile, certFile, keyFile, minVersion }: UpstreamTlsConfig): SecureContext => {
      const isVerified = mode === "verify-ca" || mode === "verify-full";
      const trust: ContextRecipe["ca"] = isVerified ? "system" : "none";
      return contexts.get({
        ca: caFile === undefined ? trust : part(caFile, judgeCertificates),
        cert: certFile === undefined ? undefined : part(certFile, judgeCertificates),
        key: keyFile === undefined ? undefined : part(keyFile, judgeKey),
        minVersion,
      });
    },
    serverContext: ({ certFile, keyFile, clientCaFile }: ServerTlsConfig): SecureContext =>
      contexts.get({
        ca: clientCaFile === undefined ? "none" : part(clientCaFile, judgeCertificates),
        cert: part(certFile, judgeCertificates),
        key: part(keyFile, judgeKey),
        minVersion: "TLSv1.2",
      }),
    onChange: (listener) => {
      const own: typeof listener = (source, version) => listener(source, version); // one for each call, also of the same function
      listeners.add(own);
      return { [Symbol.dispose]: () => void listeners.delete(own) };
    },
    run: async (signal) => {
      try {
        for (;;) {
          await clock.sleep(LOOK_EVERY_MS, signal);
          tellChanges();
        }
      } catch (cause) {
        if (!isAbort(cause, signal)) throw cause;
      }
    },
    keepFor: (configs) => {
      const named = textsOf(configs);
      for (const all of [secrets, mismatches]) for (const path of all.keys()) if (!named.has(path)) all.delete(path);
      for (const [name, file] of files) if (!named.has(file.path)) files.delete(name);
      contexts.keepOnly(named);
    },
    problems: () => [
      ...[...secrets.values()]
        .map(({ file }) => file)
        .concat([...files.values()])
        .flatMap((file) => (file.problem === undefined ? [] : [{ path: file.path, reason: file.problem }])),
      ...[...mismatches].map(([path, reason]) => ({ path, reason })),
    ],
  };
}

/** Every text in a value, however deep: the paths of all files of a configuration are among them. */
function textsOf(value: unknown, into = new Set<string>()): ReadonlySet<string> {
  if (typeof value === "string") into.add(value);
  else if (typeof value === "object" && value !== null) for (const inner of Object.values(value)) textsOf(inner, into);
  return into;
}

/** Why a file cannot be a secret. NULs and broken characters are what is left of a file that was not written to its end. */
function judgeSecret(content: Buffer): string | undefined {
  if (content.includes(0)) return "has a NUL byte";
  try {
    return textOf(content) === "" ? "is empty" : undefined;
  } catch {
    return "is not UTF-8"; // the decoder's only complaint
  }
}

function textOf(content: Buffer): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content).replace(/\r?\n$/, "");
}

function missing(path: string, problem: string | undefined): AmbassadorError {
  return new AmbassadorError("CREDENTIAL_MISSING", `Cannot use the credential ${path}: it ${problem ?? "was not read"}`);
}
