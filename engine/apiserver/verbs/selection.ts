import { type KubeObject, matchesFields, matchesLabels, parseFieldSelector, parseLabelSelector, type Resource } from "@peapod/api";

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
