import type { Path, Problem, Raw } from "./decode.ts";
import type { Environment } from "./schema.ts";

const reference = /\$(\$\([A-Za-z_][\w.-]*\))|\$\(([A-Za-z_][\w.-]*)\)/g;

/**
 * Puts variables of the environment in for `$(NAME)` in every value, as Kubernetes does in a container's `args` (`$$(NAME)` stays, as `$(NAME)`);
 * a name that there is not is a problem, where Kubernetes would leave it as it stands.
 */
export function expandVariables(raw: Raw, variables: Environment, problems: Problem[], path: Path = []): Raw {
  if (typeof raw === "string") {
    return raw.replaceAll(reference, (whole, escaped: string | undefined, name: string | undefined) => {
      if (escaped !== undefined) return escaped;
      const value = variables[name ?? ""];
      if (value === undefined) problems.push({ path, message: `there is no environment variable ${name}`, kind: "value" });
      return value ?? whole;
    });
  }
  if (isList(raw)) return raw.map((item, index) => expandVariables(item, variables, problems, [...path, index]));
  return new Map([...raw].map(([key, value]) => [key, expandVariables(value, variables, problems, [...path, key])]));
}

function isList(raw: Raw): raw is readonly Raw[] {
  return Array.isArray(raw);
}
