import { type FieldError, invalid, required, unsupported } from "../fields/field-error.ts";
import type { ResourceFieldSelector } from "../generated.ts";
import { canonicalQuantity } from "../values/quantity.ts";

const byteUnits = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/** The resources that a variable can show, the units it can be shown in, and how upstream's message names them. */
const divisors: Readonly<Record<string, { readonly units: readonly string[]; readonly named: string }>> = {
  cpu: { units: ["1m", "1"], named: "cpu" },
  memory: { units: byteUnits, named: "memory" },
  "ephemeral-storage": { units: byteUnits, named: "local ephemeral storage" },
};
const HUGE_PAGES = { units: byteUnits, named: "hugepages" };

const shown = ["limits", "requests"].flatMap((kind) => Object.keys(divisors).map((resource) => `${kind}.${resource}`)).toSorted();

/** The rules for a `resourceFieldRef` of a variable. */
export function validateResourceField({ resource = "", divisor = "0" }: Partial<ResourceFieldSelector>, path: string): FieldError[] {
  if (resource === "") return [required(`${path}.resource`)];
  const name = resource.slice(resource.indexOf(".") + 1);
  const isHugePages = /^(limits|requests)\.hugepages-/.test(resource);
  if (!isHugePages && !shown.includes(resource)) return [unsupported(`${path}.resource`, resource, shown)];
  const { units, named } = divisors[name] ?? HUGE_PAGES;
  const unit = canonicalQuantity(divisor) ?? divisor;
  if (unit === "0" || units.includes(unit)) return [];
  const all = units === byteUnits ? units.join(", ") : units.join(" and ");
  return [invalid(`${path}.divisor`, resource, `only divisor's values ${all} are supported with the ${named} resource`)];
}
