import { notAcceptable } from "@peapod/api";
import { StatusError } from "../errors.ts";

/** The media type of YAML, which is taken and given wherever JSON is, but for watches. */
export const YAML = "application/yaml";

/** The form in which an answer is wanted. */
export interface Form {
  readonly as: "object" | "Table" | "PartialObjectMetadata" | "PartialObjectMetadataList" | "APIGroupDiscoveryList";
  /** The version of the form's group; `v1` for plain objects. */
  readonly version: string;
  /** The media type as it was asked for, to answer with. */
  readonly mediaType: string;
}

const plain: Form = { as: "object", version: "v1", mediaType: "application/json" };

/**
 * The first form of an Accept header that the server has, of those that the path `offers` besides the plain one, in a media type that the path
 * can `give`. Throws 406.
 */
export function negotiate(
  accept: string | undefined,
  offers: readonly Form["as"][],
  give: readonly string[] = ["application/json", YAML],
): Form {
  if (accept === undefined || accept.trim() === "") return plain;
  for (const range of accept.split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    const given = ["application/*", "*/*"].includes(type.toLowerCase()) ? "application/json" : type.toLowerCase();
    if (!give.includes(given)) continue;
    const found = new Map(parameters.map((parameter) => parameter.split("=", 2).map((part) => part.trim()) as [string, string]));
    const as = found.get("as");
    if (as === undefined) return { ...plain, mediaType: given };
    const version = found.get("v") ?? "v1";
    const offer = offers.find((name) => name === as);
    if (offer !== undefined && isServed(offer, found.get("g"), version))
      return { as: offer, version, mediaType: given === YAML ? YAML : mediaType(offer, found.get("g") ?? "", version) };
  }
  throw new StatusError(notAcceptable(give));
}

/** Whether an answer that has one form only, such as an error, is wanted as YAML. */
export function prefersYaml(accept: string | undefined): boolean {
  const types = (accept ?? "").split(",").map((range) => range.split(";", 1)[0]?.trim().toLowerCase());
  return types.find((type) => type === YAML || type === "application/json" || type === "*/*") === YAML;
}

function isServed(as: Form["as"], group: string | undefined, version: string): boolean {
  if (as === "APIGroupDiscoveryList") return group === "apidiscovery.k8s.io" && version === "v2";
  return group === "meta.k8s.io" && (version === "v1" || version === "v1beta1");
}

/** Clients tell the aggregated discovery from the old one by the answer's type. */
function mediaType(as: Form["as"], group: string, version: string): string {
  return as === "APIGroupDiscoveryList" ? `application/json;g=${group};v=${version};as=${as}` : "application/json";
}
