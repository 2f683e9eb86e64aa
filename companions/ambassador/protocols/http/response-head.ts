import { AmbassadorError } from "../../errors.ts";
import { connectionFields, type Fields, isFieldValue, lower, valuesOf } from "./fields.ts";

/** An upstream's answer as node:http has parsed it. */
export interface ResponseHead {
  readonly statusCode: number;
  readonly statusMessage: string;
  readonly rawHeaders: Fields;
}

/** What the client gets of an answer's head. */
export interface ResponsePlan {
  readonly status: number;
  readonly message: string;
  readonly fields: Fields;
  /** The body goes out in chunks, so that trailers may follow. */
  readonly isChunked: boolean;
}

/** Plans what the client gets. Throws UPSTREAM_PROTOCOL for an answer that could be read in two ways. */
export function planResponse(head: ResponseHead, request: { readonly method: string; readonly httpVersion: string }): ResponsePlan {
  const { statusCode: status, rawHeaders } = head;
  const codings = valuesOf(rawHeaders, "transfer-encoding");
  const lengths = valuesOf(rawHeaders, "content-length");
  if (codings.length > 1 || (codings.length === 1 && lower(codings[0]).trim() !== "chunked"))
    throw new AmbassadorError("UPSTREAM_PROTOCOL", "The upstream's answer has a Transfer-Encoding that is not known");
  if (lengths.length + codings.length > 1) throw new AmbassadorError("UPSTREAM_PROTOCOL", "The upstream's answer has a length twice");
  const hasBody = request.method !== "HEAD" && status !== 204 && status !== 304;
  const isChunked = hasBody && lengths.length === 0 && request.httpVersion === "1.1";
  const fields = passedFields(rawHeaders, (name) => (name === "trailer" && !isChunked) || (name === "content-length" && status === 204));
  if (status === 426) fields.push(...valuesOf(rawHeaders, "upgrade").flatMap((value) => ["Upgrade", value]));
  return { status, message: reasonPhraseOf(head), fields, isChunked };
}

/** The head of an answer before the answer (1xx), ready to be sent. */
export function informationalHead(head: ResponseHead): string {
  return formatHead(
    head,
    passedFields(head.rawHeaders, (name) => name === "content-length"),
  );
}

/** The head that ends HTTP on a connection. Throws UPSTREAM_PROTOCOL where it is not said to what it changes. */
export function switchingHead(head: ResponseHead): string {
  const [protocol] = valuesOf(head.rawHeaders, "upgrade");
  if (protocol === undefined) throw new AmbassadorError("UPSTREAM_PROTOCOL", "The upstream changes the protocol without saying to which");
  const fields = passedFields(head.rawHeaders, (name) => name === "content-length");
  return formatHead(head, ["Upgrade", protocol, "Connection", "Upgrade", ...fields]);
}

function passedFields(rawHeaders: Fields, isLeftOut: (name: string) => boolean): string[] {
  const isOfConnection = connectionFields(rawHeaders);
  const fields: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name = "", value = ""] = [rawHeaders[index], rawHeaders[index + 1]];
    const key = lower(name);
    if (!isOfConnection(key) && !isLeftOut(key)) fields.push(name, value);
  }
  return fields;
}

function formatHead(head: ResponseHead, fields: Fields): string {
  let text = `HTTP/1.1 ${head.statusCode} ${reasonPhraseOf(head)}\r\n`;
  for (let index = 0; index < fields.length; index += 2) text += `${fields[index]}: ${fields[index + 1]}\r\n`;
  return `${text}\r\n`;
}

function reasonPhraseOf({ statusMessage }: ResponseHead): string {
  return isFieldValue(statusMessage) ? statusMessage : "";
}
