import about from "../package.json" with { type: "json" };

/** The ambassador's version. */
export const VERSION: string = about.version;
