import { type KubeObject, matchesFields, matchesLabels, parseFieldSelector, parseLabelSelector, type Resource } from "@peapod/api";
import type { Place } from "./object-key.ts";

/** What a list, watch or deletion of many speaks of. */
export interface Selection {
  /** Left out: every namespace. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/** Whether an object is selected; undefined where everything is. Throws SelectorError. */
export function selector(resource: Resource, selection: Selection): ((object: KubeObject) => boolean) | undefined {
  const labels = parseLabelSelector(selection.labelSelector ?? "");
  const fields = parseFieldSelector(selection.fieldSelector ?? "", resource);
  if (labels.length === 0 && fields.length === 0) return undefined;
  return (object) => matchesFields(fields, object) && matchesLabels(labels, object.metadata.labels);
}

/** Where the only object is that can be selected: a field selector gives its name. Undefined where there may be others. */
export function onlyPlace(resource: Resource, { namespace, fieldSelector = "" }: Selection): Place | undefined {
  if (resource.namespaced && namespace === undefined) return undefined;
  const named = parseFieldSelector(fieldSelector, resource).find(({ field, equal }) => equal && field === "metadata.name");
  return named === undefined ? undefined : { name: named.value, ...(namespace === undefined ? {} : { namespace }) };
}
