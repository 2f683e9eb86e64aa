import { EngineError } from "../../../errors.ts";
import type { NamespaceSettings } from "../../../linux/namespaces.ts";
import { defaultSysctls } from "../spec/container-defaults.ts";

/** The sysctls that the kernel keeps for each network or IPC namespace; every other would change the host. */
const namespaced = [/^kernel\.shm/, /^kernel\.msg/, /^kernel\.sem$/, /^fs\.mqueue\./, /^net\./];

/** The sysctls of a new sandbox as files and values, the defaults first. Throws CONTAINER_CONFIG_INVALID for one that is not a namespace's. */
export function sandboxSysctls(wanted: Readonly<Record<string, string>>): NamespaceSettings["sysctls"] {
  const asked = new Set(Object.keys(wanted).map(dotted));
  const defaults = Object.entries(defaultSysctls).filter(([name]) => !asked.has(name));
  return [
    ...defaults.map(([name, value]) => ({ path: sysctlPath(name), value, needed: false })),
    ...Object.entries(wanted).map(([name, value]) => ({ path: sysctlPath(dotted(name)), value, needed: true })),
  ];
}

function sysctlPath(name: string): string {
  const parts = name.split(".");
  const isSafe = parts.every((part) => /^[\w-][\w/-]*$/.test(part)) && namespaced.some((pattern) => pattern.test(name));
  if (!isSafe)
    throw new EngineError(
      "CONTAINER_CONFIG_INVALID",
      `Cannot set sysctl ${JSON.stringify(name)} for a pod: it is not in a namespace of its own`,
    );
  return `/proc/sys/${parts.join("/")}`;
}

/** Both spellings of sysctl(8): the first separator tells which; the other one then stands for itself, as in a VLAN device's name. */
function dotted(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  return first === "/" ? name.replaceAll(/[./]/g, (separator) => (separator === "/" ? "." : "/")) : name;
}
