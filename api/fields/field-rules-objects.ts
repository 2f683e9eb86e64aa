import { accepted, refused, supported, supportedWhole, type FieldRule, type TypeRules } from "./field-rule.ts";

const account = "no service account token is made or mounted";

/** The other kinds, and what every object has. */
export const objectRules: Readonly<Record<string, TypeRules>> = {
  ObjectMeta: {
    annotations: supported(),
    creationTimestamp: supported("set by the server"),
    deletionGracePeriodSeconds: supported("set by the server"),
    deletionTimestamp: supported("set by the server"),
    finalizers: supported(),
    generateName: supported(),
    generation: supported("set by the server"),
    labels: supported(),
    managedFields: accepted("who set which field is not recorded"),
    name: supported(),
    namespace: supported(),
    ownerReferences: accepted("nothing deletes an object when its owner goes"),
    resourceVersion: supported("set by the server; in a write, the version that must still be there"),
    selfLink: accepted("upstream gave it up too"),
    uid: supported("set by the server"),
  },
  ConfigMap: { ...head(), binaryData: supported(), data: supported(), immutable: supported() },
  Secret: { ...head(), data: supported(), immutable: supported(), stringData: supported("moved to data"), type: supported() },
  Namespace: { ...head(), spec: supportedWhole(), status: supportedWhole("written by the server") },
  Event: {
    ...head(),
    action: supported(),
    count: supported(),
    eventTime: supported(),
    firstTimestamp: supported(),
    involvedObject: supportedWhole(),
    lastTimestamp: supported(),
    message: supported(),
    reason: supported(),
    related: supportedWhole(),
    reportingComponent: supported(),
    reportingInstance: supported(),
    series: supportedWhole(),
    source: supportedWhole(),
    type: supported(),
  },
  Lease: { ...head(), spec: supportedWhole() },
  Node: { ...head(), spec: supported(), status: supportedWhole("written by the engine") },
  NodeSpec: {
    configSource: refused("upstream took it away too"),
    externalID: accepted("upstream gave it up too"),
    podCIDR: supported("set by the engine"),
    podCIDRs: supported("set by the engine"),
    providerID: accepted("there is no cloud around this machine"),
    taints: accepted("there is one node, and every pod runs on it"),
    unschedulable: accepted("there is one node, and every pod runs on it"),
  },
  ServiceAccount: {
    ...head(),
    automountServiceAccountToken: accepted(account),
    imagePullSecrets: accepted("credentials for registries come from the login files of Docker and Podman"),
    secrets: accepted(account),
  },
};

function head(): Readonly<Record<"apiVersion" | "kind" | "metadata", FieldRule>> {
  return { apiVersion: supported(), kind: supported(), metadata: supported() };
}
