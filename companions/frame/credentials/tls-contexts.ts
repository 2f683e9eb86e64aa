import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import { CompanionError } from "../errors.ts";
import { systemAuthorities } from "./pem.ts";
import type { WatchedFile } from "./watched-file.ts";

/** What a context is made of. */
export interface ContextRecipe {
  readonly ca: FileRef | "system" | "none";
  readonly cert: FileRef | undefined;
  readonly key: FileRef | undefined;
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
}

/** A file by its path, and as it is watched. */
export interface FileRef {
  readonly path: string;
  readonly file: WatchedFile;
}

interface Made {
  readonly context: SecureContext;
  readonly versions: string;
}

interface Slot {
  readonly paths: readonly string[];
  made: Made | undefined;
  /** The versions that no context could be made of, and why. */
  failed: { readonly versions: string; readonly reason: string } | undefined;
}

/**
 * TLS contexts, one for each recipe and content: making one with the system's authorities takes 5 to 10 ms. While certificate and key do not
 * belong together, as in the middle of their replacement, the context of the last pair that did stays.
 */
export class TlsContexts {
  readonly #slots = new Map<string, Slot>();
  readonly #onProblem: (path: string, reason: string) => void;
  readonly #onGood: (path: string) => void;

  constructor(options: { readonly onProblem: (path: string, reason: string) => void; readonly onGood: (path: string) => void }) {
    this.#onProblem = options.onProblem;
    this.#onGood = options.onGood;
  }

  /** Throws CREDENTIAL_MISSING where there is none and never was. Every file of the recipe has been looked at and has had a good content. */
  get(recipe: ContextRecipe): SecureContext {
    const { ca, cert, key, minVersion } = recipe;
    const files = [typeof ca === "string" ? undefined : ca, cert, key];
    const slot = this.#slot(
      JSON.stringify([ca === "system", minVersion, ...files.map((one) => one?.path)]),
      files.flatMap((one) => one?.path ?? []),
    );
    const versions = files.map((one) => one?.file.version ?? "").join(",");
    if (slot.made?.versions === versions) {
      this.#mend(slot, cert);
      return slot.made.context;
    }
    if (slot.failed?.versions !== versions) this.#make(slot, recipe, versions);
    if (slot.made !== undefined) return slot.made.context;
    throw new CompanionError("CREDENTIAL_MISSING", `Cannot use ${cert?.path ?? "TLS"}: ${slot.failed?.reason ?? ""}`);
  }

  /** Drops the contexts of files that are none of these. */
  keepOnly(paths: ReadonlySet<string>): void {
    for (const [name, slot] of this.#slots) if (!slot.paths.every((path) => paths.has(path))) this.#slots.delete(name);
  }

  #slot(name: string, paths: readonly string[]): Slot {
    const known = this.#slots.get(name);
    if (known !== undefined) return known;
    const slot: Slot = { paths, made: undefined, failed: undefined };
    this.#slots.set(name, slot);
    return slot;
  }

  #make(slot: Slot, recipe: ContextRecipe, versions: string): void {
    try {
      slot.made = { context: createSecureContext(toOptions(recipe)), versions };
      this.#mend(slot, recipe.cert);
    } catch (cause) {
      const reason = describe(cause, recipe.key?.path);
      const isNew = slot.failed === undefined;
      slot.failed = { versions, reason };
      if (isNew) this.#onProblem(recipe.cert?.path ?? "", reason);
    }
  }

  #mend(slot: Slot, cert: FileRef | undefined): void {
    if (slot.failed === undefined) return;
    slot.failed = undefined;
    this.#onGood(cert?.path ?? "");
  }
}

function toOptions({ ca, cert, key, minVersion }: ContextRecipe): SecureContextOptions {
  const authorities = typeof ca !== "string" ? ca.file.content : ca === "system" ? systemAuthorities() : [];
  return {
    minVersion,
    ...(authorities === undefined ? {} : { ca: authorities }),
    ...(cert?.file.content === undefined ? {} : { cert: cert.file.content }),
    ...(key?.file.content === undefined ? {} : { key: key.file.content }),
  };
}

/** OpenSSL's reason, which names no content. */
function describe(cause: unknown, keyPath: string | undefined): string {
  if (cause instanceof Error && "code" in cause && cause.code === "ERR_OSSL_X509_KEY_VALUES_MISMATCH")
    return `the key in ${keyPath} is not the certificate's`;
  return cause instanceof Error && "reason" in cause ? String(cause.reason) : "OpenSSL refuses it";
}
