import type {
  ConfigMap,
  Event,
  KubeObject,
  Lease,
  Namespace,
  Node,
  Pod,
  Resource,
  Secret,
  ServiceAccount,
  TableColumnDefinition,
} from "@peapod/api";
import { age } from "./durations.ts";
import { eventCells } from "./event-row.ts";
import { nodeCells } from "./node-row.ts";
import { podCells } from "./pod-row.ts";

/** How a kind is shown: its columns, and an object's cells for them. */
export interface TableKind {
  readonly columns: readonly TableColumnDefinition[];
  readonly cells: (object: KubeObject, nowMs: number) => readonly unknown[];
}

/** How objects of this resource are shown. */
export function tableKind(resource: Resource): TableKind {
  return kinds[resource.kind] ?? { columns: [name, created], cells: ({ metadata }) => [metadata.name, metadata.creationTimestamp] };
}

const column = (
  title: string,
  description: string,
  options: { wide?: boolean; format?: string; type?: string } = {},
): TableColumnDefinition => ({
  name: title,
  type: options.type ?? "string",
  format: options.format ?? "",
  description,
  priority: options.wide === true ? 1 : 0,
});

const wide = { wide: true };
const name = column("Name", "The object's name, unique in its namespace.", { format: "name" });
const ageColumn = column("Age", "How long ago the object was created.");
const created = column("Created At", "When the object was created.", { format: "date" });

/** Rows are typed by the kind that the table is for. */
const kind = <T extends KubeObject>(
  columns: TableColumnDefinition[],
  cells: (object: T, nowMs: number) => readonly unknown[],
): TableKind => ({
  columns,
  cells: (object, nowMs) => cells(object as T, nowMs), // the key says the kind
});

const aged = ({ metadata }: KubeObject, nowMs: number): string => age(metadata.creationTimestamp, nowMs);
const size = (map: object | undefined): number => Object.keys(map ?? {}).length;

const kinds: Readonly<Record<string, TableKind>> = {
  Pod: kind<Pod>(
    [
      name,
      column("Ready", "How many of the pod's containers are ready."),
      column("Status", "What the pod and its containers are doing."),
      column("Restarts", "How often containers restarted, and when one last did."),
      ageColumn,
      column("IP", "The pod's address.", wide),
      column("Node", "The node that runs the pod.", wide),
      column("Nominated Node", "The node that is being made free for the pod.", wide),
      column("Readiness Gates", "How many of the pod's readiness gates are open.", wide),
    ],
    podCells,
  ),
  ConfigMap: kind<ConfigMap>([name, column("Data", "How many keys it holds."), ageColumn], (object, nowMs) => [
    object.metadata.name,
    size(object.data) + size(object.binaryData),
    aged(object, nowMs),
  ]),
  Secret: kind<Secret>(
    [name, column("Type", "What kind of secret it is."), column("Data", "How many keys it holds."), ageColumn],
    (object, nowMs) => [object.metadata.name, object.type ?? "", size(object.data), aged(object, nowMs)],
  ),
  Namespace: kind<Namespace>([name, column("Status", "Active, or Terminating while it is deleted."), ageColumn], (object, nowMs) => [
    object.metadata.name,
    object.status?.phase ?? "",
    aged(object, nowMs),
  ]),
  Event: kind<Event>(
    [
      column("Last Seen", "How long ago it happened last."),
      column("Type", "Normal or Warning."),
      column("Reason", "Why, in one word."),
      column("Object", "What it happened to."),
      column("Subobject", "The part that it happened to.", wide),
      column("Source", "Who reported it.", wide),
      column("Message", "What happened."),
      column("First Seen", "How long ago it happened first.", wide),
      column("Count", "How often it happened.", wide),
      column("Name", "The event's name.", { ...wide, format: "name" }),
    ],
    eventCells,
  ),
  Node: kind<Node>(
    [
      name,
      column("Status", "Whether the node takes pods."),
      column("Roles", "The node's roles, by its labels."),
      ageColumn,
      column("Version", "The version of its kubelet."),
      column("Internal-IP", "Its address inside.", wide),
      column("External-IP", "Its address outside.", wide),
      column("OS-Image", "Its operating system.", wide),
      column("Kernel-Version", "Its kernel.", wide),
      column("Container-Runtime", "What runs its containers.", wide),
    ],
    nodeCells,
  ),
  ServiceAccount: kind<ServiceAccount>([name, column("Secrets", "How many secrets it may use."), ageColumn], (object, nowMs) => [
    object.metadata.name,
    (object.secrets ?? []).length,
    aged(object, nowMs),
  ]),
  Lease: kind<Lease>([name, column("Holder", "Who holds it."), ageColumn], (object, nowMs) => [
    object.metadata.name,
    object.spec?.holderIdentity ?? "",
    aged(object, nowMs),
  ]),
};
