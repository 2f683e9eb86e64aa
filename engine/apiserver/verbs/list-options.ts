import { invalidStatus, prohibitedField } from "@peapod/api";
import { StatusError } from "../errors.ts";

/** 422: a list or watch says something in this option that it may not, for the reason that `why` says. */
export function refusedOption(field: string, why: string): StatusError {
  return new StatusError(invalidStatus({ group: "meta.k8s.io", kind: "ListOptions" }, "", [prohibitedField(field, why)]));
}
