import about from "../package.json" with { type: "json" };

/** peapod's version. */
export const VERSION: string = about.version;
