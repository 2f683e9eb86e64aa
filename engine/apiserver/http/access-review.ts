import { asRecord, asString } from "@peapod/api";
import { readObjectBody } from "../encodings/request-body.ts";
import { type Access, isAllowed } from "./authorization.ts";
import { type Exchange, sendValue } from "./exchange.ts";

/** Answers a SelfSubjectAccessReview: whether who asks may do what it names. */
export async function handleAccessReview(exchange: Exchange): Promise<void> {
  const { request, response, user } = exchange;
  const spec = asRecord(asRecord(await readObjectBody(request))?.["spec"]) ?? {};
  const status = { allowed: isAllowed(user, accessOf(spec)) };
  await sendValue(response, 201, { kind: "SelfSubjectAccessReview", apiVersion: "authorization.k8s.io/v1", metadata: {}, spec, status });
}

function accessOf(spec: Readonly<Record<string, unknown>>): Access {
  const about = asRecord(spec["resourceAttributes"]);
  const read = (name: string): string => asString((about ?? asRecord(spec["nonResourceAttributes"]))?.[name]) ?? "";
  const verb = read("verb");
  if (about === undefined) return { kind: "path", verb, path: read("path") };
  const [group, resource, subresource] = [read("group"), read("resource"), read("subresource")];
  return { kind: "resource", verb, group, resource, subresource, namespace: read("namespace"), name: read("name") };
}
