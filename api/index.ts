export { decode, type Decoded, type Problem } from "./decode.ts";
export { applyDefaults } from "./defaults.ts";
export { expandVariables } from "./expand-variables.ts";
export { type FieldError, type FieldErrorType } from "./field-error.ts";
export { type FieldRequirement, matchesFields, parseFieldSelector } from "./field-selector.ts";
export type { Support } from "./field-rule.ts";
export { checkSupport, type FieldEntry, listFields, type SupportNote, type SupportReport } from "./field-support.ts";
export type * from "./generated.ts";
export { nameFromPrefix } from "./generate-name.ts";
export { asList, asRecord, asString, cloneJson, equalJson, isRecord, setField } from "./json.ts";
export { applyJsonPatch, PatchError } from "./json-patch.ts";
export { type LabelRequirement, type LabelSelectorTerms, matchesLabels, parseLabelSelector, SelectorError } from "./label-selector.ts";
export { LargeInteger, parseJson, wholeNumber } from "./large-integer.ts";
export { applyMergePatch } from "./merge-patch.ts";
export { graceSeconds, isPodTerminal } from "./pod-predicates.ts";
export {
  containerResources,
  cpuQuotaMicros,
  cpuShares,
  oomScoreAdj,
  podResources,
  type QosClass,
  qosClass,
  type Resources,
} from "./pod-resources.ts";
export {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  type Quantity,
  quantityToMilli,
  quantityToNumber,
} from "./quantity.ts";
export {
  configMaps,
  events,
  type KubeObject,
  leases,
  namespaces,
  nodes,
  pods,
  type Resource,
  resources,
  secrets,
  serviceAccounts,
} from "./resources.ts";
export { type FieldSchema, fieldSchema, resolveSchema, typeNameOfKind, typeNames, type TypeSchema, typeSchema } from "./schema.ts";
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
export { applyStrategicMergePatch } from "./strategic-merge-patch.ts";
export { validate, validateUpdate } from "./validate.ts";
