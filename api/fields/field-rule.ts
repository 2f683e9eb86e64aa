/** `refused`: an error; `accepted`: taken, has no effect, a Warning says so. */
export type Support = "supported" | "accepted" | "refused";

/** What a value of a supported field may turn out to be. */
export interface Verdict {
  readonly support: "accepted" | "refused";
  readonly note: string;
}

/** What is decided for one field of one type. */
export interface FieldRule {
  readonly support: Support;
  /** For `accepted` and `refused` the sentence that people are told, beginning in the middle: it follows the path. */
  readonly note: string;
  /** Everything below is as the field itself; always so for `accepted` and `refused`. */
  readonly whole?: boolean;
  /** Values of an accepted or refused field that ask for nothing, and so are taken without a word. Default: what is empty. */
  readonly isQuiet?: (value: unknown) => boolean;
  /** Values of a supported field that are not. `parent` is the object around it. */
  readonly judge?: (value: unknown, parent: Readonly<Record<string, unknown>>) => Verdict | undefined;
  /** Entries of a supported map that are not. */
  readonly judgeEntry?: (key: string, value: unknown) => Verdict | undefined;
}

/** The rules of a type, by field. */
export type TypeRules = Readonly<Record<string, FieldRule>>;

/** Supported; `judge` finds the values that are not. */
export function supported(note = "", judge?: FieldRule["judge"]): FieldRule {
  return { support: "supported", note, ...(judge === undefined ? {} : { judge }) };
}

/** Supported with everything below. */
export function supportedWhole(note = ""): FieldRule {
  return { support: "supported", note, whole: true };
}

/** Taken, without effect. */
export function accepted(why: string, isQuiet?: FieldRule["isQuiet"]): FieldRule {
  return { support: "accepted", note: `has no effect: ${why}`, ...(isQuiet === undefined ? {} : { isQuiet }) };
}

/** Refused for now. */
export function refused(why: string, isQuiet?: FieldRule["isQuiet"]): FieldRule {
  return {
    support: "refused",
    note: why === "" ? "is not supported yet" : `is not supported yet: ${why}`,
    ...(isQuiet === undefined ? {} : { isQuiet }),
  };
}

/** A value that is refused. */
export function refuse(why: string): Verdict {
  return { support: "refused", note: why };
}

/** A value that is taken without effect. */
export function ignore(why: string): Verdict {
  return { support: "accepted", note: why };
}

/** Quiet where the value is one of these. */
export function isOneOf(...values: readonly unknown[]): (value: unknown) => boolean {
  return (value) => values.includes(value);
}

/** Never quiet: that the field is there says something, whatever it holds. */
export const never = (): boolean => false;
