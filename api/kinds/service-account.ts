import { accepted } from "../fields/field-rule.ts";
import { objectFields } from "../fields/field-rules-objects.ts";
import type { ServiceAccount } from "../generated.ts";
import { ageOf, column, columns } from "./columns.ts";
import { defineKind } from "./define-kind.ts";

const unused = "no service account token is made or mounted";

export const serviceAccounts = defineKind<ServiceAccount>({
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  singular: "serviceaccount",
  shortNames: ["sa"],
  typeName: "io.k8s.api.core.v1.ServiceAccount",
  fieldRules: {
    ServiceAccount: {
      ...objectFields,
      automountServiceAccountToken: accepted(unused),
      imagePullSecrets: accepted("credentials for registries come from the login files of Docker and Podman"),
      secrets: accepted(unused),
    },
  },
  creationOrder: 10,
  columns: [columns.name, column("Secrets", "How many secrets it may use."), columns.age],
  cells: (account, nowMs) => [account.metadata.name, (account.secrets ?? []).length, ageOf(account, nowMs)],
  hasGeneration: false,
  answersDeleted: true,
});
