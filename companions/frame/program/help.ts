import type { CommonConfig } from "../config/common.ts";
import { configVariable } from "../config/schema.ts";
import { DEFAULT_WAIT } from "./command-line.ts";
import type { Companion } from "./companion.ts";

/** What `--help` prints. */
export function helpText<Config extends CommonConfig>({ name, schema, help, wait }: Companion<Config>): string {
  const { prefix } = schema.variables;
  const own = wait?.flags ?? [];
  const { ready = "it works", simple = "all of it", examples = [`${name} --config ${name}.yaml`, `${name} check ${name}.yaml`] } = help;
  const flags = [
    ["--config FILE", `the configuration (default: ${configVariable(schema.variables)}, or ${simple} from ${prefix}* variables)`],
    ...own.map((flag) => [`--${flag.name} ${flag.value}`, flag.help]),
    ["--timeout TIME", `how long to wait, such as 500ms, 30s or 2m (default ${DEFAULT_WAIT})`],
    ["--admin ADDRESS", "where its admin server listens: HOST:PORT or unix:PATH (default: what the configuration says)"],
  ];
  return `${help.about}

Usage: ${name} [run] [--config FILE]
       ${name} check FILE
       ${name} wait ${own.map((flag) => `[--${flag.name} ${flag.value}] `).join("")}[--timeout TIME] [--admin ADDRESS | --config FILE]

Commands:
  run    ${help.run}, until SIGTERM or SIGINT; SIGHUP reads the configuration again (the default)
  check  say whether a configuration is valid, or every problem with its line
  wait   return when a running ${name} is ready: ${ready}

Flags:
${flags.map(([flag = "", meaning = ""]) => `  ${flag.padEnd(16)}  ${meaning}`).join("\n")}
  --help, --version

Examples:
${examples.map((line) => `  ${line}`).join("\n")}

Exit codes: 0 ended as told, valid, ready; 1 could not go on, or not ready in time; 64 a configuration or command line that makes no sense.
`;
}
