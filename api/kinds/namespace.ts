import { supportedWhole } from "../fields/field-rule.ts";
import { objectFields } from "../fields/field-rules-objects.ts";
import { readFieldPath } from "../fields/read-field-path.ts";
import type { Namespace, ServiceAccount } from "../generated.ts";
import { labelName } from "../values/names.ts";
import { ageOf, column, columns } from "./columns.ts";
import { defineKind, everyVerb } from "./define-kind.ts";
import { keepStatus, statusSubresource } from "./status-subresource.ts";

/** Held by every namespace until its content is gone. */
const FINALIZER = "kubernetes";
const immortal: readonly string[] = ["default", "kube-system", "kube-public"];

export const namespaces = defineKind<Namespace>({
  kind: "Namespace",
  plural: "namespaces",
  singular: "namespace",
  shortNames: ["ns"],
  namespaced: false,
  verbs: everyVerb.filter((verb) => verb !== "deletecollection"),
  subresources: [
    statusSubresource(),
    {
      name: "finalize",
      verbs: ["update"],
      write: (given, old) => ({ ...old, metadata: given.metadata, ...(given.spec === undefined ? {} : { spec: given.spec }) }),
    },
  ],
  typeName: "io.k8s.api.core.v1.Namespace",
  fieldRules: { Namespace: { ...objectFields, spec: supportedWhole(), status: supportedWhole("written by the server") } },
  creationOrder: 0,
  columns: [columns.name, column("Status", "Active, or Terminating while it is deleted."), columns.age],
  cells: (namespace, nowMs) => [namespace.metadata.name, namespace.status?.phase ?? "", ageOf(namespace, nowMs)],
  selectableFields: ["status.phase", "name"],
  readField: (namespace, field) => readFieldPath(namespace, field === "name" ? "metadata.name" : field),
  nameRule: labelName,
  applyDefaults: (namespace) => {
    const name = namespace.metadata.name ?? "";
    if (name !== "") namespace.metadata.labels = { ...namespace.metadata.labels, "kubernetes.io/metadata.name": name };
    namespace.status = { ...namespace.status, phase: namespace.status?.phase ?? "Active" };
  },
  builtIn: [...immortal, "kube-node-lease"],
  prepareNew: (namespace) => {
    const finalizers = namespace.spec?.finalizers ?? [];
    return {
      ...namespace,
      spec: { ...namespace.spec, finalizers: finalizers.includes(FINALIZER) ? finalizers : [...finalizers, FINALIZER] },
      status: { phase: "Active" },
    };
  },
  createAlong: ({ metadata }) => {
    // What pods of the namespace run as unless they say otherwise.
    const account: ServiceAccount = {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "default", namespace: metadata.name ?? "" },
    };
    return [account];
  },
  keep: (given, old) => {
    const { spec: _finalizers, ...rest } = keepStatus(given, old); // which go through finalize
    return old.spec === undefined ? rest : { ...rest, spec: old.spec };
  },
  hasGeneration: false,
  refuseDeletion: ({ metadata }) => (immortal.includes(metadata.name ?? "") ? "this namespace may not be deleted" : undefined),
  prepareDeletion: (namespace) => {
    const { deletionGracePeriodSeconds: _none, ...metadata } = namespace.metadata;
    return { ...namespace, metadata, status: { ...namespace.status, phase: "Terminating" } };
  },
  awaitsCleanup: ({ metadata, spec }) => metadata.deletionTimestamp === undefined || (spec?.finalizers ?? []).length > 0,
});
