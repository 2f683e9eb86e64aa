/** A text in the configuration, or in a file that is read anew for each use. One trailing newline of a file is not part of it. */
export type SecretSource = { readonly kind: "value"; readonly value: string } | { readonly kind: "file"; readonly path: string };

/** What a secret file says now. */
export interface Secret {
  readonly text: string;
  /** Changes when the text does; for keys derived from it, and for connections made with an older one. */
  readonly version: number;
}
