import { accepted, refused, supported, supportedWhole } from "../fields/field-rule.ts";
import { objectFields } from "../fields/field-rules-objects.ts";
import { readFieldPath } from "../fields/read-field-path.ts";
import type { Node } from "../generated.ts";
import { column, columns } from "./columns.ts";
import { defineKind } from "./define-kind.ts";
import { nodeCells } from "./node-row.ts";
import { statusSubresource } from "./status-subresource.ts";

const wide = { wide: true };
const placement = "there is one node, and every pod runs on it";

export const nodes = defineKind<Node>({
  kind: "Node",
  plural: "nodes",
  singular: "node",
  shortNames: ["no"],
  namespaced: false,
  subresources: [statusSubresource()],
  typeName: "io.k8s.api.core.v1.Node",
  fieldRules: {
    Node: { ...objectFields, spec: supported(), status: supportedWhole("written by the engine") },
    NodeSpec: {
      configSource: refused("upstream took it away too"),
      externalID: accepted("upstream gave it up too"),
      podCIDR: supported("set by the engine"),
      podCIDRs: supported("set by the engine"),
      providerID: accepted("there is no cloud around this machine"),
      taints: accepted(placement),
      unschedulable: accepted(placement),
    },
  },
  isForManifests: false,
  columns: [
    columns.name,
    column("Status", "Whether the node takes pods."),
    column("Roles", "The node's roles, by its labels."),
    columns.age,
    column("Version", "The version of its kubelet."),
    column("Internal-IP", "Its address inside.", wide),
    column("External-IP", "Its address outside.", wide),
    column("OS-Image", "Its operating system.", wide),
    column("Kernel-Version", "Its kernel.", wide),
    column("Container-Runtime", "What runs its containers.", wide),
  ],
  cells: nodeCells,
  selectableFields: ["spec.unschedulable"],
  readField: (node, field) => readFieldPath(node, field) || (field === "spec.unschedulable" ? "false" : ""),
  applyDefaults: ({ status }) => {
    if (status?.capacity !== undefined && status.allocatable === undefined) status.allocatable = { ...status.capacity };
  },
  prepareNew: (node) => node, // a kubelet registers its node with a status
  hasGeneration: false,
});
