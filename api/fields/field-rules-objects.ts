import { accepted, supported, type TypeRules } from "./field-rule.ts";

/** What the metadata of every object has. */
export const metadataRules: Readonly<Record<string, TypeRules>> = {
  ObjectMeta: {
    annotations: supported(),
    creationTimestamp: supported("set by the server"),
    deletionGracePeriodSeconds: supported("set by the server"),
    deletionTimestamp: supported("set by the server"),
    finalizers: supported(),
    generateName: supported(),
    generation: supported("set by the server"),
    labels: supported(),
    managedFields: accepted("who set which field is not recorded"),
    name: supported(),
    namespace: supported(),
    ownerReferences: accepted("nothing deletes an object when its owner goes"),
    resourceVersion: supported("set by the server; in a write, the version that must still be there"),
    selfLink: accepted("upstream gave it up too"),
    uid: supported("set by the server"),
  },
};

/** The verdicts on what an object of every kind has. */
export const objectFields: TypeRules = { apiVersion: supported(), kind: supported(), metadata: supported() };
