import { invalid, required } from "../fields/field-error.ts";
import { supported, supportedWhole } from "../fields/field-rule.ts";
import { objectFields } from "../fields/field-rules-objects.ts";
import { readFieldPath } from "../fields/read-field-path.ts";
import type { Event } from "../generated.ts";
import { column } from "./columns.ts";
import { defineKind } from "./define-kind.ts";
import { eventCells } from "./event-row.ts";

const wide = { wide: true };

export const events = defineKind<Event>({
  kind: "Event",
  plural: "events",
  singular: "event",
  shortNames: ["ev"],
  typeName: "io.k8s.api.core.v1.Event",
  fieldRules: {
    Event: {
      ...objectFields,
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
  },
  isForManifests: false,
  columns: [
    column("Last Seen", "How long ago it happened last."),
    column("Type", "Normal or Warning."),
    column("Reason", "Why, in one word."),
    column("Object", "What it happened to."),
    column("Subobject", "The part that it happened to.", wide),
    column("Source", "Who reported it.", wide),
    column("Message", "What happened."),
    column("First Seen", "How long ago it happened first.", wide),
    column("Count", "How often it happened.", wide),
    column("Name", "The event's name.", { ...wide, format: "name" }),
  ],
  cells: eventCells,
  selectableFields: [
    ...["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"].map((name) => `involvedObject.${name}`),
    "reason",
    "reportingComponent",
    "source",
    "type",
  ],
  readField: (event, field) =>
    field === "source"
      ? readFieldPath(event, "source.component") || readFieldPath(event, "reportingComponent")
      : readFieldPath(event, field),
  validate: (event) => {
    const namespace = event.involvedObject?.namespace ?? "";
    if (event.involvedObject === undefined) return [required("involvedObject")];
    if (namespace === event.metadata.namespace || (namespace === "" && event.metadata.namespace === "default")) return [];
    return [invalid("involvedObject.namespace", namespace, "does not match event.namespace")];
  },
  hasGeneration: false,
});
