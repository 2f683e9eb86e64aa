import type { HttpListenerConfig } from "../../config/config.ts";
import type { Fields } from "./fields.ts";
import { HOST_PLACE, type RequestPlan } from "./request-head.ts";

/** The fields of a request as they are sent: the client's, the Host, what is put in, and those of this connection. */
export function sentFields(plan: Pick<RequestPlan, "fields" | "upgrade" | "takesTrailers">, host: string, injected: Fields): string[] {
  const fields = plan.fields.map((part) => (part === HOST_PLACE ? host : part));
  fields.push(...injected);
  if (plan.takesTrailers) fields.push("TE", "trailers");
  const options = plan.takesTrailers ? ", TE" : "";
  if (plan.upgrade === undefined) fields.push("Connection", `keep-alive${options}`);
  else fields.push("Connection", `Upgrade${options}`, "Upgrade", plan.upgrade);
  return fields;
}

/** What Host says: the endpoint's own name, with its port where that is not the scheme's; the client's; or what is configured. */
export function makeHostOf({ hostHeader, upstream }: Pick<HttpListenerConfig, "hostHeader" | "upstream">) {
  const usualPort = upstream.tls === undefined || upstream.tls.mode === "disable" ? 80 : 443;
  return ({ host, port }: { readonly host: string; readonly port: number | undefined }, authority: string | undefined): string => {
    if (typeof hostHeader === "object") return hostHeader.value;
    if (hostHeader === "preserve" && authority !== undefined) return authority;
    if (port === undefined) return "localhost"; // a UNIX socket has no name
    const name = host.includes(":") ? `[${host}]` : host;
    return port === usualPort ? name : `${name}:${port}`;
  };
}
