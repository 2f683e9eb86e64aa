import { connectionFields, type Fields, lower, membersOf, valuesOf } from "./fields.ts";
import { RequestRefused } from "./problem.ts";

/** A request's head as node:http has parsed it. */
export interface RequestHead {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  readonly rawHeaders: Fields;
}

/** What is sent upstream for a request, but for what the configuration puts in. */
export interface RequestPlan {
  readonly method: string;
  /** In origin form, or `*`. */
  readonly path: string;
  /** End-to-end fields in their order. In place of the client's Host stands HOST_PLACE. */
  readonly fields: Fields;
  /** What the client asked for: the target's authority, else its Host. Undefined: an HTTP/1.0 client said nothing. */
  readonly authority: string | undefined;
  readonly body: "none" | "length" | "chunked";
  /** Nothing is lost or done twice when it is sent again (RFC 9110 §9.2.2). */
  readonly isReplayable: boolean;
  readonly expectsContinue: boolean;
  /** The protocols to change to. */
  readonly upgrade: string | undefined;
  readonly takesTrailers: boolean;
}

/** Stands for the Host field's value until it is known. */
export const HOST_PLACE = "\0host";

/** More header fields than this are an attack, or a mistake. */
const MAX_FIELDS = 256;

const idempotent: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PROPFIND"]);

/** Plans what goes upstream. Throws RequestRefused for what could be read in two ways, or must not pass. `owned`: the configuration's fields. */
export function planRequest(head: RequestHead, isOwned: (name: string) => boolean): RequestPlan {
  const { method, rawHeaders, httpVersion } = head;
  if (rawHeaders.length > MAX_FIELDS * 2) throw new RequestRefused(431, `The request has more than ${MAX_FIELDS} header fields`);
  if (method === "CONNECT") throw new RequestRefused(405, "CONNECT is for proxies, and this is the server's own address");
  if (method === "TRACE") throw new RequestRefused(405, "TRACE would tell the credentials that are put in");
  const target = parseTarget(method, head.url);
  const hosts = valuesOf(rawHeaders, "host");
  if (hosts.length > 1) throw new RequestRefused(400, "The request has more than one Host");
  if (hosts.length === 0 && httpVersion === "1.1") throw new RequestRefused(400, "The request has no Host");
  const authority = target.authority ?? hosts[0];
  if (authority !== undefined && !/^[\w.~!$&'()*+,;=%:[\]-]*$/.test(authority)) throw new RequestRefused(400, "The Host is not valid");
  const body = bodyOf(head);
  const expectations = membersOf(rawHeaders, "expect");
  const expectsContinue = httpVersion === "1.1" && expectations.includes("100-continue");
  if (expectations.some((expectation) => expectation !== "100-continue")) throw new RequestRefused(417, "The Expect is not known");
  return {
    method,
    path: target.path,
    fields: passedFields(head, body, isOwned),
    authority,
    body,
    isReplayable: body === "none" && idempotent.has(method),
    expectsContinue,
    upgrade: upgradeOf(head),
    takesTrailers: membersOf(rawHeaders, "te").includes("trailers"),
  };
}

/**
 * The protocols that a request asks to change to, or undefined for one that is to be answered as it is: with a body, or for HTTP/2, whose
 * later requests would pass unseen.
 */
export function upgradeOf(head: RequestHead): string | undefined {
  const { rawHeaders, httpVersion, method } = head;
  if (httpVersion !== "1.1" || method === "CONNECT" || bodyOf(head) !== "none") return undefined;
  if (!membersOf(rawHeaders, "connection").includes("upgrade")) return undefined;
  const asked = valuesOf(rawHeaders, "upgrade").flatMap((value) => value.split(",").map((protocol) => protocol.trim()));
  const wanted = asked.filter((protocol) => protocol !== "" && !/^(h2c?|http|tls)(\/|$)/i.test(protocol));
  return wanted.length === 0 ? undefined : wanted.join(", ");
}

function bodyOf({ rawHeaders, httpVersion }: RequestHead): RequestPlan["body"] {
  const codings = valuesOf(rawHeaders, "transfer-encoding");
  const lengths = valuesOf(rawHeaders, "content-length");
  if (codings.length === 0 && lengths.length === 0) return "none";
  if (codings.length > 0 && lengths.length > 0) throw new RequestRefused(400, "The request has a length twice");
  if (codings.length === 0) {
    if (lengths.length > 1 || !/^\d+$/.test(lengths[0] ?? "")) throw new RequestRefused(400, "The Content-Length is not valid");
    return Number(lengths[0]) === 0 ? "none" : "length";
  }
  if (httpVersion !== "1.1") throw new RequestRefused(400, "HTTP/1.0 has no Transfer-Encoding");
  if (codings.length > 1 || lower(codings[0]).trim() !== "chunked") throw new RequestRefused(501, "The Transfer-Encoding is not known");
  return "chunked";
}

function parseTarget(method: string, url: string): { readonly path: string; readonly authority: string | undefined } {
  if (url.startsWith("/")) return { path: url, authority: undefined };
  if (url === "*" && method === "OPTIONS") return { path: url, authority: undefined };
  const parts = /^https?:\/\/([^/?#@]+)([/?].*)?$/i.exec(url);
  if (parts === null) throw new RequestRefused(400, "The request's target is not valid");
  const [, authority, rest] = parts;
  if (rest === undefined) return { path: method === "OPTIONS" ? "*" : "/", authority };
  return { path: rest.startsWith("?") ? `/${rest}` : rest, authority };
}

function passedFields({ method, rawHeaders }: RequestHead, body: RequestPlan["body"], isOwned: (name: string) => boolean): string[] {
  const isOfConnection = connectionFields(rawHeaders);
  const fields: string[] = [];
  let hasHost = false;
  let hasLength = false;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name = "", value = ""] = [rawHeaders[index], rawHeaders[index + 1]];
    const key = lower(name);
    if (key === "host") {
      hasHost = true;
      fields.push(name, HOST_PLACE);
      continue;
    }
    if (key === "transfer-encoding") fields.push(name, "chunked");
    if (key === "trailer" && body !== "chunked") continue;
    if (isOfConnection(key) || isOwned(key)) continue;
    if (key === "content-length") hasLength = true;
    fields.push(name, value);
  }
  if (!hasHost) fields.unshift("Host", HOST_PLACE);
  // Without a length node:http would send a body in chunks with each method that may have one.
  if (body === "none" && !hasLength && !["GET", "HEAD", "DELETE", "OPTIONS"].includes(method)) fields.push("Content-Length", "0");
  return fields;
}
