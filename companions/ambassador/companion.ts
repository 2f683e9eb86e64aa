import type { Companion } from "../frame/program/companion.ts";
import type { AmbassadorConfig } from "./config/config.ts";
import { configSchema } from "./config/config-schema.ts";
import about from "./package.json" with { type: "json" };

/** The ambassador, as a program. */
export const ambassador: Companion<AmbassadorConfig> = {
  name: "ambassador",
  version: about.version,
  schema: configSchema,
  summary: ({ listeners }) => `${listeners.length} ${listeners.length === 1 ? "listener" : "listeners"}`,
  wait: { query: { upstream: "reachable" }, flags: [{ name: "listener", value: "NAME", help: "wait for this listener alone" }] },
  help: {
    about: `The ambassador: localhost is the database. It listens where an application expects its upstream, and knows where
the upstream really is and how to log in there.`,
    run: "listen and forward",
    ready: "its listeners accept, and an upstream of each has answered",
    simple: "one listener",
    examples: [
      "ambassador --config /etc/ambassador/ambassador.yaml",
      "ambassador check ambassador.yaml",
      "ambassador wait --admin 127.0.0.1:9901 --timeout 30s && exec java -jar app.jar",
      "AMBASSADOR_PROTOCOL=postgres AMBASSADOR_LISTEN=127.0.0.1:5432 AMBASSADOR_UPSTREAM=db.example:5432 \\",
      "  AMBASSADOR_USERNAME=app AMBASSADOR_PASSWORD_FILE=/run/secrets/db/password ambassador",
    ],
  },
  load: async () => (await import("./operations/work.ts")).startWork,
};
