import { type CommonConfig, commonFields } from "./common.ts";
import { type Entry, type Field, record } from "./decode.ts";
import type { ConfigSchema } from "./schema.ts";

/**
 * The schema of a companion whose configuration is a few values without depth: a variable for each comes of itself, `NAME_KEY` for `key`, so that the
 * environment can say all of it.
 */
export function flatSchema<Config extends CommonConfig>(
  name: string,
  own: { readonly [K in Exclude<keyof Config, keyof CommonConfig>]-?: Field<Config[K]> },
): ConfigSchema<Config> {
  const fields = { ...commonFields({ page: "a page", drain: "How long what has begun may go on after SIGTERM" }), ...own };
  const type = record<Config>(fields as { readonly [K in keyof Config]-?: Field<Config[K]> }); // the common ones and its own are all
  const entries = Object.entries<Field<unknown>>(fields).flatMap(([property, field]) => field.entries(property));
  const scalars = entries.filter(({ shape }) => shape.kind === "scalar");
  const prefix = `${upper(name)}_`;
  const required = scalars.filter(({ fallback }) => fallback === "required").map(({ key }) => key);
  return {
    type,
    least: required.join(" and "),
    variables: {
      prefix,
      needed: required.map((key) => `${prefix}${upper(key)}`),
      all: [
        ...scalars.map(({ key, help }: Entry) => ({ name: `${prefix}${upper(key)}`, key, help })),
        { name: `${prefix}ADMIN_LISTEN`, key: "admin.listen", help: "Where `/healthz`, `/readyz` and `/metrics` are served" },
      ],
    },
  };
}

/** `drainTimeout` as DRAIN_TIMEOUT. */
function upper(name: string): string {
  return name.replaceAll(/[A-Z]/g, "_$&").replaceAll("-", "_").toUpperCase();
}
