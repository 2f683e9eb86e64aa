import type { KubeObject, Resource } from "../kinds/resources.ts";
import { getField, isRecord } from "../values/json.ts";
import { SelectorError } from "./label-selector.ts";

/** One condition of a field selector. */
export interface FieldRequirement {
  readonly field: string;
  readonly equal: boolean;
  readonly value: string;
}

const everyKind = ["metadata.name", "metadata.namespace"];
const byKind: Readonly<Record<string, readonly string[]>> = {
  Pod: [
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
  Event: [
    ...["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"].map((name) => `involvedObject.${name}`),
    "reason",
    "reportingComponent",
    "source",
    "type",
  ],
  Namespace: ["status.phase", "name"],
  Node: ["spec.unschedulable"],
  Secret: ["type"],
};

/** Reads `metadata.name=web,status.phase!=Running` for a resource. Throws SelectorError, also for a field that the resource cannot be selected by. */
export function parseFieldSelector(text: string, resource: Resource): FieldRequirement[] {
  return splitUnescaped(text).map((term) => {
    const match = /^([^=!]+?)\s*(==|=|!=)(.*)$/s.exec(term);
    const [, field = "", operator = "", value = ""] = match ?? [];
    if (match === null) throw new SelectorError(`invalid selector: '${text}'; can't understand '${term}'`);
    if (!everyKind.includes(field) && !(byKind[resource.kind] ?? []).includes(field))
      throw new SelectorError(`field label not supported: ${field}`);
    return { field, equal: operator !== "!=", value: value.replaceAll(/\\([\\,=])/g, "$1") };
  });
}

/** Tells whether an object fulfils a field selector. */
export function matchesFields(selector: readonly FieldRequirement[], object: KubeObject): boolean {
  return selector.every(({ field, equal, value }) => (fieldValue(object, field) === value) === equal);
}

function fieldValue(object: KubeObject, field: string): string {
  if (object.kind === "Namespace" && field === "name") return object.metadata.name ?? "";
  if (field === "source" && object.kind === "Event") return read(object, ["source", "component"]) || read(object, ["reportingComponent"]);
  if (field === "status.podIPs") return read(object, ["status", "podIP"]);
  const text = read(object, field.split("."));
  return text === "" && (field === "spec.hostNetwork" || field === "spec.unschedulable") ? "false" : text;
}

function read(object: KubeObject, path: readonly string[]): string {
  let value: unknown = object;
  for (const name of path) value = isRecord(value) ? getField(value, name) : undefined;
  return typeof value === "string" || typeof value === "boolean" || typeof value === "number" ? String(value) : "";
}

/** Cuts at commas; a backslash takes the next character's meaning away. Empty terms are nothing. */
function splitUnescaped(text: string): string[] {
  const terms: string[] = [];
  let term = "";
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "\\") term += text.slice(at, (at += 1) + 1);
    else if (text[at] === ",") [term] = (terms.push(term), [""]);
    else term += text[at];
  }
  return [...terms, term].filter((each) => each !== "");
}
