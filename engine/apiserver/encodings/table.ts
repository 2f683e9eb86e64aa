import type { KubeObject, ListMeta, Resource, Table } from "@peapod/api";

/** What of an object goes along with its row. */
export type IncludeObject = "None" | "Metadata" | "Object";

export interface TableOptions {
  readonly resource: Resource;
  readonly include: IncludeObject;
  readonly nowMs: number;
  readonly metadata: ListMeta;
  /** Left out after the first table of a watch. */
  readonly withHeaders: boolean;
  /** `v1` or `v1beta1` of meta.k8s.io. */
  readonly version: string;
}

/** Objects as the table that `kubectl get` prints. */
export function toTable(objects: readonly KubeObject[], options: TableOptions): Table {
  const { resource, nowMs } = options;
  const rows = objects.map((object) => ({ cells: [...resource.cells(object, nowMs)], object: included(object, options) }));
  const table = {
    kind: "Table",
    apiVersion: `meta.k8s.io/${options.version}`,
    metadata: options.metadata,
    columnDefinitions: options.withHeaders ? [...resource.columns] : [],
    rows,
  };
  return table as unknown as Table; // the schema has neither v1beta1, nor rows' objects
}

/** An object's metadata alone. */
export function toPartial(object: KubeObject, version: string): KubeObject {
  return { kind: "PartialObjectMetadata", apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata };
}

function included(object: KubeObject, { include, version }: TableOptions): KubeObject | null {
  if (include === "None") return null;
  return include === "Object" ? object : toPartial(object, version);
}
