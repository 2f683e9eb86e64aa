import { supported } from "../fields/field-rule.ts";
import { objectFields } from "../fields/field-rules-objects.ts";
import type { ConfigMap } from "../generated.ts";
import { ageOf, column, columns, sizeOf } from "./columns.ts";
import { defineKind } from "./define-kind.ts";
import { validateConfigMap, validateConfigMapUpdate } from "./validate-config.ts";

export const configMaps = defineKind<ConfigMap>({
  kind: "ConfigMap",
  plural: "configmaps",
  singular: "configmap",
  shortNames: ["cm"],
  typeName: "io.k8s.api.core.v1.ConfigMap",
  fieldRules: { ConfigMap: { ...objectFields, binaryData: supported(), data: supported(), immutable: supported() } },
  creationOrder: 20,
  columns: [columns.name, column("Data", "How many keys it holds."), columns.age],
  cells: (map, nowMs) => [map.metadata.name, sizeOf(map.data) + sizeOf(map.binaryData), ageOf(map, nowMs)],
  validate: validateConfigMap,
  validateUpdate: validateConfigMapUpdate,
  hasGeneration: false,
});
