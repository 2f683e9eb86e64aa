import type { PathSegments } from "./field-path.ts";

/** One way in which a value is not what its type says. */
export interface Problem {
  readonly kind: "unknown" | "type" | "enum" | "missing" | "format";
  /** `spec.containers[1].imagePullPolcy` */
  readonly path: string;
  readonly pathSegments: readonly (string | number)[];
  /** Without the path: `unknown field, did you mean imagePullPolicy?` */
  readonly message: string;
}

/** What is the same wherever in the value the reading stands. */
export interface Reading {
  /** A message that is a function is made only if it is still wanted. */
  readonly report: (kind: Problem["kind"], path: PathSegments, message: string | (() => string)) => void;
  /** How a scalar was written, where that is known and may differ from the value: `1.10`, `yes`. */
  readonly sourceOf: (path: PathSegments) => string | undefined;
  readonly root: string;
}
