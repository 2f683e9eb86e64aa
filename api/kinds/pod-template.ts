import { supported } from "../fields/field-rule.ts";
import { objectFields } from "../fields/field-rules-objects.ts";
import type { PodTemplate } from "../generated.ts";
import { podContainers } from "../pod/containers.ts";
import { defaultPodSpec } from "../pod/defaults-pod.ts";
import { validatePodTemplate } from "../pod/validate-pod-template.ts";
import { column, columns } from "./columns.ts";
import { defineKind } from "./define-kind.ts";

export const podTemplates = defineKind<PodTemplate>({
  kind: "PodTemplate",
  plural: "podtemplates",
  singular: "podtemplate",
  typeName: "io.k8s.api.core.v1.PodTemplate",
  fieldRules: {
    PodTemplate: { ...objectFields, template: supported() },
    PodTemplateSpec: { metadata: supported(), spec: supported("with the fields of a Pod's") },
  },
  columns: [
    columns.name,
    column("Containers", "The names of its containers."),
    column("Images", "The images of its containers."),
    column("Pod Labels", "The labels of the pods that are made from it."),
  ],
  cells: ({ metadata, template }) => {
    const containers = podContainers(template?.spec, ["application"]);
    const labels = Object.entries(template?.metadata?.labels ?? {}).map(([key, value]) => `${key}=${value}`);
    return [
      metadata.name,
      containers.map(({ name }) => name).join(","),
      containers.map(({ container }) => container.image).join(","),
      labels.sort().join(",") || "<none>",
    ];
  },
  applyDefaults: ({ template }) => {
    if (template?.spec !== undefined) defaultPodSpec(template.spec);
  },
  validate: ({ template }) => validatePodTemplate(template ?? {}, "template"),
  answersDeleted: true,
});
