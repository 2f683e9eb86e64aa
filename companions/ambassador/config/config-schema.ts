import type { ConfigSchema } from "../../frame/config/schema.ts";
import { checkConfig } from "./check-config.ts";
import type { AmbassadorConfig } from "./config.ts";
import { configType } from "./schema.ts";
import { ambassadorVariables } from "./variables.ts";

/** The ambassador's configuration, in a file or in the environment. */
export const configSchema: ConfigSchema<AmbassadorConfig> = {
  type: configType,
  least: "listeners",
  check: checkConfig,
  variables: ambassadorVariables,
};
