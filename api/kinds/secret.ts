import { supported } from "../fields/field-rule.ts";
import { objectFields } from "../fields/field-rules-objects.ts";
import type { Secret } from "../generated.ts";
import { encodeBase64 } from "../values/base64.ts";
import { ageOf, column, columns, sizeOf } from "./columns.ts";
import { defineKind } from "./define-kind.ts";
import { validateSecret, validateSecretUpdate } from "./validate-config.ts";

export const secrets = defineKind<Secret>({
  kind: "Secret",
  plural: "secrets",
  singular: "secret",
  typeName: "io.k8s.api.core.v1.Secret",
  fieldRules: {
    Secret: { ...objectFields, data: supported(), immutable: supported(), stringData: supported("moved to data"), type: supported() },
  },
  creationOrder: 21,
  columns: [columns.name, column("Type", "What kind of secret it is."), column("Data", "How many keys it holds."), columns.age],
  cells: (secret, nowMs) => [secret.metadata.name, secret.type ?? "", sizeOf(secret.data), ageOf(secret, nowMs)],
  selectableFields: ["type"],
  applyDefaults: (secret) => {
    secret.type ||= "Opaque";
    if (secret.stringData === undefined) return;
    secret.data ??= {};
    for (const [key, text] of Object.entries(secret.stringData)) secret.data[key] = encodeBase64(text);
    delete secret.stringData;
  },
  validate: validateSecret,
  validateUpdate: validateSecretUpdate,
  hasGeneration: false,
});
