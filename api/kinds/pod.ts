import { podRules } from "../fields/field-rules-pod.ts";
import { containerRules } from "../fields/field-rules-container.ts";
import { volumeRules } from "../fields/field-rules-volumes.ts";
import { readFieldPath } from "../fields/read-field-path.ts";
import type { Pod } from "../generated.ts";
import { defaultPod } from "../pod/defaults-pod.ts";
import { podDeletionGrace } from "../pod/pod-predicates.ts";
import { qosClass } from "../pod/pod-resources.ts";
import { podCells } from "../pod/pod-row.ts";
import { validatePod } from "../pod/validate-pod.ts";
import { validatePodUpdate } from "../pod/validate-pod-update.ts";
import { equalJson } from "../values/json.ts";
import { column, columns } from "./columns.ts";
import { defineKind } from "./define-kind.ts";
import { statusSubresource } from "./status-subresource.ts";

const wide = { wide: true };

export const pods = defineKind<Pod>({
  kind: "Pod",
  plural: "pods",
  singular: "pod",
  shortNames: ["po"],
  categories: ["all"],
  subresources: [
    // A pod's class of service follows from its spec, whatever a status says.
    statusSubresource((status, { status: old }) =>
      status === undefined || old?.qosClass === undefined ? status : { ...status, qosClass: old.qosClass },
    ),
    { name: "log", verbs: ["get"] },
    { name: "exec", verbs: ["create", "get"], takes: "PodExecOptions" },
  ],
  typeName: "io.k8s.api.core.v1.Pod",
  fieldRules: { ...podRules, ...containerRules, ...volumeRules },
  creationOrder: 90,
  columns: [
    columns.name,
    column("Ready", "How many of the pod's containers are ready."),
    column("Status", "What the pod and its containers are doing."),
    column("Restarts", "How often containers restarted, and when one last did."),
    columns.age,
    column("IP", "The pod's address.", wide),
    column("Node", "The node that runs the pod.", wide),
    column("Nominated Node", "The node that is being made free for the pod.", wide),
    column("Readiness Gates", "How many of the pod's readiness gates are open.", wide),
  ],
  cells: podCells,
  selectableFields: [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
  ],
  readField: (pod, field) => {
    if (field === "status.podIPs") return readFieldPath(pod, "status.podIP");
    return readFieldPath(pod, field) || (field === "spec.hostNetwork" ? "false" : "");
  },
  applyDefaults: defaultPod,
  validate: validatePod,
  validateUpdate: validatePodUpdate,
  prepareNew: (pod) => ({ ...pod, status: { phase: "Pending", qosClass: qosClass(pod) } }),
  isRevision: ({ spec }, { spec: old }) => !equalJson(spec, old) && !isBinding(spec, old),
  deletionGrace: podDeletionGrace,
  answersDeleted: true,
});

/** Whether all that happens to a pod is that it comes to a node: nobody changed what it is meant to be. */
function isBinding(spec: Pod["spec"], old: Pod["spec"]): boolean {
  if (spec?.nodeName === undefined || (old?.nodeName ?? "") !== "") return false;
  return equalJson({ ...spec, nodeName: "" }, { ...old, nodeName: "" });
}
