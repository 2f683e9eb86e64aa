import type { IncomingMessage } from "node:http";
import { badRequest, isRecord, parseJson, tooLarge, unsupportedMediaType } from "@peapod/api";
import { messageOf } from "@peapod/kit";
import { StatusError } from "../errors.ts";
import { YAML } from "./negotiation.ts";
import { PROTOBUF, readProtobuf } from "./protobuf.ts";
import { readYaml } from "./yaml-body.ts";

/** What upstream takes at most. */
const LIMIT_BYTES = 3 * 1024 * 1024;

/** The media type of a request's body, without parameters; "" where it says none. */
export function contentType(request: IncomingMessage): string {
  return (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

/** The object in a request's body, undefined where it is empty. Throws 400, 413 or 415. */
export async function readObjectBody(request: IncomingMessage): Promise<unknown> {
  const type = contentType(request);
  if (type !== PROTOBUF && type !== YAML) return await readJsonBody(request, ["application/json", YAML, PROTOBUF]);
  const bytes = await readBytes(request);
  if (bytes.length === 0) return undefined;
  return type === YAML ? await readYaml(bytes) : readProtobuf(bytes);
}

/** The JSON body of a request, undefined where it is empty. Throws 400, 413 or 415. */
export async function readJsonBody(request: IncomingMessage, accepted: readonly string[]): Promise<unknown> {
  const type = contentType(request);
  if (type !== "" && !accepted.includes(type)) throw new StatusError(unsupportedMediaType(accepted));
  return parseBody(await readBytes(request));
}

/** A few values in a JSON object, whatever type the request says; an empty one where there is no body. Throws 400 or 413. */
export async function readParameters(request: IncomingMessage, limitBytes: number): Promise<Record<string, unknown>> {
  const value = parseBody(await readBytes(request, limitBytes)) ?? {};
  if (!isRecord(value)) throw new StatusError(badRequest("the body is no JSON object"));
  return value;
}

function parseBody(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  try {
    return parseJson(bytes.toString("utf8"));
  } catch (cause) {
    throw new StatusError(badRequest(`the body is not JSON: ${messageOf(cause)}`), { cause });
  }
}

async function readBytes(request: IncomingMessage, limitBytes = LIMIT_BYTES): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onData = (chunk: Buffer): void => {
    size += chunk.length;
    if (size > limitBytes) reject(new StatusError(tooLarge(limitBytes)));
    else chunks.push(chunk);
  };
  request
    .on("data", onData)
    .once("end", resolve)
    .once("error", reject)
    .once("close", () => reject(new StatusError(badRequest("the body ended early"))));
  try {
    await promise;
  } catch (cause) {
    request.off("data", onData).resume(); // dropped as it comes, so that the client gets to read the answer
    throw cause;
  }
  return Buffer.concat(chunks, size);
}
