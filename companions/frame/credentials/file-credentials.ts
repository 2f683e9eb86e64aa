import type { SecureContext } from "node:tls";
import { type Clock, isAbort, type Logger } from "@peapod/kit";
import { CompanionError } from "../errors.ts";
import type { Secret, SecretSource } from "./secret.ts";
import { judgeCertificates, judgeKey } from "./pem.ts";
import { type FileRef, TlsContexts } from "./tls-contexts.ts";
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

/**
 * The credentials and certificates of a configuration, from their files. They are compared by content, so that a swapped `..data` link, a
 * rewritten file and a new mount are all seen; what is asked for is what the file says at that moment.
 * A file that is missing, empty, or cannot be read after it once could: the last good content stays, a metric and a warning say so.
 */
export interface FileCredentials {
  /** Throws CREDENTIAL_MISSING, naming the file, when there is none and never was. Cheap: may be asked at every login. */
  secret(source: SecretSource): Secret;
  /** A context made once for each content of the files. Throws CREDENTIAL_MISSING. */
  context(files: TlsFiles): SecureContext;
  /** Calls when a secret that was asked for has another content than before; looks by itself, within 2 s. */
  onChange(listener: (source: SecretSource, version: number) => void): Disposable;
  /** Watches until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
  /** What is wrong with the files now. */
  problems(): readonly CredentialProblem[];
  /** Forgets the files whose paths are not in this, however deep: those are watched, and complained about, no more. To be called after a reload. */
  keepFor(config: unknown): void;
}

/** The files of one side of TLS. */
export interface TlsFiles {
  /** Whom to believe: the authorities of a file, the system's, or nobody. */
  readonly trust: { readonly caFile: string } | "system" | "none";
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
}

interface Watched {
  readonly source: SecretSource;
  readonly file: WatchedFile;
  /** The version that the listeners know. */
  told: number;
  text: { readonly version: number; readonly secret: Secret } | undefined;
}

/** Opens them. `onProblem` is called once each time a file stops being good, for a metric. Holds nothing open. */
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
    context: ({ trust, certFile, keyFile, minVersion }) =>
      contexts.get({
        ca: typeof trust === "string" ? trust : part(trust.caFile, judgeCertificates),
        cert: certFile === undefined ? undefined : part(certFile, judgeCertificates),
        key: keyFile === undefined ? undefined : part(keyFile, judgeKey),
        minVersion,
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
    keepFor: (config) => {
      const named = textsOf(config);
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

function missing(path: string, problem: string | undefined): CompanionError<"CREDENTIAL_MISSING"> {
  return new CompanionError("CREDENTIAL_MISSING", `Cannot use the credential ${path}: it ${problem ?? "was not read"}`);
}
