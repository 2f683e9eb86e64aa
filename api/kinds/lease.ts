import { type FieldError, invalid } from "../fields/field-error.ts";
import { supportedWhole } from "../fields/field-rule.ts";
import { objectFields } from "../fields/field-rules-objects.ts";
import type { Lease } from "../generated.ts";
import { ageOf, column, columns } from "./columns.ts";
import { defineKind } from "./define-kind.ts";

export const leases = defineKind<Lease>({
  group: "coordination.k8s.io",
  kind: "Lease",
  plural: "leases",
  singular: "lease",
  typeName: "io.k8s.api.coordination.v1.Lease",
  fieldRules: { Lease: { ...objectFields, spec: supportedWhole() } },
  isForManifests: false,
  columns: [columns.name, column("Holder", "Who holds it."), columns.age],
  cells: (lease, nowMs) => [lease.metadata.name, lease.spec?.holderIdentity ?? "", ageOf(lease, nowMs)],
  validate: ({ spec = {} }) => {
    const errors: FieldError[] = [];
    const { leaseDurationSeconds, leaseTransitions } = spec;
    if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0)
      errors.push(invalid("spec.leaseDurationSeconds", leaseDurationSeconds, "must be greater than 0"));
    if (leaseTransitions !== undefined && leaseTransitions < 0)
      errors.push(invalid("spec.leaseTransitions", leaseTransitions, "must be greater than or equal to 0"));
    return errors;
  },
  requiresVersion: true, // two holders must not overwrite each other
  hasGeneration: false,
});
