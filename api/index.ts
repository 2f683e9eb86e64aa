export { decode, type Decoded } from "./fields/decode.ts";
export type { Problem } from "./fields/reading.ts";
export { applyDefaults } from "./objects/defaults.ts";
export { expandVariables } from "./pod/expand-variables.ts";
export {
  type FieldError,
  type FieldErrorType,
  invalid as invalidField,
  prohibited as prohibitedField,
  required as requiredField,
} from "./fields/field-error.ts";
export { type FieldRequirement, matchesFields, parseFieldSelector } from "./fields/field-selector.ts";
export type { Support } from "./fields/field-rule.ts";
export { checkSupport, type FieldEntry, listFields, type SupportNote, type SupportReport } from "./fields/field-support.ts";
export type * from "./generated.ts";
export { kindNamed, kindsOfKubernetes } from "./kinds/kinds-of-kubernetes.ts";
export { nameFromPrefix } from "./values/generate-name.ts";
export { asList, asRecord, asString, cloneJson, equalJson, isRecord, setField } from "./values/json.ts";
export { applyJsonPatch, PatchError } from "./patches/json-patch.ts";
export {
  type LabelRequirement,
  type LabelSelectorTerms,
  matchesLabels,
  parseLabelSelector,
  SelectorError,
} from "./fields/label-selector.ts";
export { LargeInteger, parseJson, wholeNumber } from "./values/large-integer.ts";
export { applyMergePatch } from "./patches/merge-patch.ts";
export { graceSeconds, isPodTerminal } from "./pod/pod-predicates.ts";
export {
  containerResources,
  cpuQuotaMicros,
  cpuShares,
  oomScoreAdj,
  podResources,
  type QosClass,
  qosClass,
  type Resources,
} from "./pod/pod-resources.ts";
export {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  type Quantity,
  quantityToMilli,
  quantityToNumber,
} from "./values/quantity.ts";
export { configMaps } from "./kinds/config-map.ts";
export { events } from "./kinds/event.ts";
export { leases } from "./kinds/lease.ts";
export { namespaces } from "./kinds/namespace.ts";
export { nodes } from "./kinds/node.ts";
export { pods } from "./kinds/pod.ts";
export type { KubeObject, Resource, Subresource } from "./kinds/resource.ts";
export { groupVersion, resourceOf, resources } from "./kinds/resources.ts";
export { secrets } from "./kinds/secret.ts";
export { serviceAccounts } from "./kinds/service-account.ts";
export { type ContainerRole, lastingRoles, type PodContainer, podContainers } from "./pod/containers.ts";
export { type FieldSchema, fieldSchema, resolveSchema, typeNameOfKind, typeNames, type TypeSchema, typeSchema } from "./fields/schema.ts";
export {
  alreadyExists,
  badRequest,
  conflict,
  expired,
  failure,
  forbidden,
  internalError,
  invalidStatus,
  methodNotAllowed,
  notAcceptable,
  notFound,
  type ResourceName,
  serviceUnavailable,
  success,
  timeoutStatus,
  tooLarge,
  unauthorized,
  unknownPath,
  unsupportedMediaType,
} from "./status.ts";
export { applyStrategicMergePatch } from "./patches/strategic-merge-patch.ts";
export { validate, validateUpdate } from "./objects/validate.ts";
export { microTimestamp, timestamp } from "./values/timestamp.ts";
